-- The schema of the demo: plain CREATE TABLE, which a server runs and tests/support/catalogs.py reads.
CREATE TABLE public.customers (
    id int4 PRIMARY KEY,
    name text,
    email text,
    ssn text,
    phone text,
    dob date,
    notes jsonb,
    balance numeric(12,2),
    created_at timestamptz,
    tags text[]
);

CREATE TABLE public.orders (
    id int4 PRIMARY KEY,
    customer_id int4,
    total numeric(12,2),
    status text,
    created_at timestamptz
);

CREATE TABLE public.payroll (
    employee_id int4 PRIMARY KEY,
    salary numeric(12,2),
    iban text
);
