-- What twins share: the schema of the attack corpus (customers, orders, payroll, v_cust, two functions), and a table,
-- a child, partitions and a materialized view for what it lacks. The values are in left.sql and right.sql.
CREATE TABLE public.customers(id int PRIMARY KEY, name text NOT NULL, email text, ssn text, phone text, dob date, salary numeric(12,2), notes jsonb);
CREATE TABLE public.orders(id int PRIMARY KEY, customer_id int REFERENCES public.customers(id), total numeric(12,2), created_at timestamptz DEFAULT '2024-01-01');
CREATE TABLE public.payroll(employee_id int PRIMARY KEY, salary numeric(12,2), iban text UNIQUE);
CREATE VIEW public.v_cust AS SELECT id, name, ssn AS code FROM public.customers;
CREATE FUNCTION public.cust_code(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM public.customers WHERE id = i';
CREATE FUNCTION public.cust_code_def(i int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT iban FROM public.payroll WHERE employee_id = i';
CREATE DOMAIN public.code AS text CHECK (VALUE <> '');
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE public.place AS (street text, number int);
CREATE TABLE public.persons(
    id int PRIMARY KEY, city text, code public.code, tags text[], device uuid, vip bool, address inet, photo bytea,
    visits int, weight float8, seen timestamptz, wake time, stay interval, grade char(3), nick varchar(10),
    mood public.mood, place public.place, secret text, memo text,
    upper_nick text GENERATED ALWAYS AS (upper(nick)) STORED
);
CREATE TABLE public.employees(badge text) INHERITS (public.persons);
CREATE TABLE public.events(id int, customer_id int, kind text, secret text, amount numeric(8,2)) PARTITION BY RANGE (id);
CREATE TABLE public.events_low PARTITION OF public.events FOR VALUES FROM (0) TO (100);
CREATE TABLE public.events_high PARTITION OF public.events FOR VALUES FROM (100) TO (1000);
CREATE INDEX customers_ssn ON public.customers (ssn);
CREATE INDEX persons_secret ON public.persons (secret);

-- What the server checks writes against, and what it runs with them.
CREATE TABLE public.accounts(
    id int PRIMARY KEY, owner text, email text UNIQUE, pin text, ceiling numeric(12,2), spent numeric(12,2) DEFAULT 0,
    pin_length int GENERATED ALWAYS AS (length(pin)) STORED,
    CONSTRAINT spent_below_ceiling CHECK (spent <= ceiling)
);
CREATE TABLE public.visits(id int PRIMARY KEY, email text REFERENCES public.accounts(email), word text);
CREATE TABLE public.routes(id int, code text, word text) PARTITION BY LIST (code);
CREATE TABLE public.routes_own PARTITION OF public.routes FOR VALUES IN ('own', NULL);
CREATE TABLE public.routes_rest PARTITION OF public.routes DEFAULT;
CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'ssn is %', (SELECT ssn FROM public.customers WHERE id = 1);
    IF NEW.word = 'fail' THEN
        RAISE EXCEPTION 'ssn is %', (SELECT ssn FROM public.customers WHERE id = 1) USING HINT = (SELECT iban FROM public.payroll LIMIT 1);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tells BEFORE INSERT OR UPDATE ON public.visits FOR EACH ROW EXECUTE FUNCTION public.tell();
-- What may be written to, what counts (serial numbers), what refers to customers, and views over what has row filters.
CREATE TABLE public.tickets(id serial PRIMARY KEY, customer_id int REFERENCES public.customers(id), title text, state text DEFAULT 'new', parent int REFERENCES public.tickets(id));
CREATE TABLE public.slots(id serial PRIMARY KEY, owner text UNIQUE, during int4range, state text, EXCLUDE USING gist (during WITH &&));
CREATE VIEW public.v_orders AS SELECT o.id, o.customer_id, o.total, c.name FROM public.orders AS o JOIN public.customers AS c ON c.id = o.customer_id;
CREATE VIEW public.v_slots AS SELECT state, count(*) AS number FROM public.slots GROUP BY state;
CREATE INDEX orders_total ON public.orders (total);
