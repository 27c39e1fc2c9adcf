-- A shop that is written to: plain CREATE TABLE, which a server runs and tests/support/catalogs.py reads.
CREATE TABLE public.customers (
    id int4 PRIMARY KEY,
    name text,
    email text UNIQUE,
    ssn text,
    phone text DEFAULT 'unknown',
    dob date,
    notes text,
    iban text,
    balance numeric(12,2),
    bonus numeric(12,2),
    status text DEFAULT 'new',
    tags text[],
    CHECK (bonus < balance)
);

CREATE TABLE public.orders (
    id int4 PRIMARY KEY,
    customer_id int4 REFERENCES public.customers (id),
    total numeric(12,2),
    status text,
    comment text
);

CREATE TABLE public.calls (
    id int4 PRIMARY KEY,
    customer_email text REFERENCES public.customers (email),
    at timestamptz,
    UNIQUE (customer_email, at)
);

CREATE TABLE public.secrets (
    id int4 PRIMARY KEY,
    order_id int4 REFERENCES public.orders (id),
    word text
);
