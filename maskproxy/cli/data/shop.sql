-- The demo's shop. The rows are made by maskproxy/cli/sample.py; nobody in them exists.
CREATE TABLE public.customers (
    id int4 PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    ssn text,
    phone text,
    dob date,
    notes jsonb,
    balance numeric(12,2) NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    tags text[] NOT NULL DEFAULT '{}'
);

CREATE TABLE public.orders (
    id int4 PRIMARY KEY,
    customer_id int4 NOT NULL REFERENCES public.customers,
    total numeric(12,2) NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON public.orders (customer_id);

CREATE TABLE public.payroll (
    employee_id int4 PRIMARY KEY,
    salary numeric(12,2) NOT NULL,
    iban text NOT NULL
);
