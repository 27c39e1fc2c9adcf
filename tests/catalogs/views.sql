-- Tables and views upon them; definitions are written as the server prints them.
CREATE TABLE public.customers (
    id int4 PRIMARY KEY,
    name text,
    email text,
    ssn text,
    notes text,
    balance numeric(12,2)
);

CREATE TABLE public.secrets (
    customer_id int4,
    pin text
);

CREATE VIEW public.contacts (id, who, email) AS SELECT id, name AS who, email FROM public.customers;
CREATE VIEW public.shouting (id, loud) AS SELECT id, upper(email) AS loud FROM public.customers;
CREATE VIEW public.rich (id) AS SELECT id FROM public.customers WHERE (ssn > '5'::text);
CREATE VIEW public.noted (id, notes) AS SELECT id, notes FROM public.customers;
CREATE VIEW public.annotated (id) AS SELECT id FROM public.customers WHERE (notes IS NOT NULL);
CREATE VIEW public.pins (id, pin) AS SELECT c.id, s.pin FROM (public.customers c JOIN public.secrets s ON ((s.customer_id = c.id)));
CREATE VIEW public.nested (id, who, mail) AS SELECT id, who, email AS mail FROM public.contacts;
CREATE VIEW public.spent (id, spent) AS SELECT id, balance AS spent FROM public.customers;
CREATE VIEW public.opaque (id, x) AS SELECT id, public.secret_function(email) AS x FROM public.customers;
CREATE MATERIALIZED VIEW public.kept (id, email, loud) AS SELECT id, email, upper(email) AS loud FROM public.customers;
CREATE MATERIALIZED VIEW public.chosen (id) AS SELECT id FROM public.customers WHERE (email ~~ 'a%'::text);
