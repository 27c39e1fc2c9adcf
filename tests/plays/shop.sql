CREATE TABLE public.customers (id int4 PRIMARY KEY, name text, email text, ssn text, phone text, dob date, notes jsonb);
CREATE TABLE public.orders (id int4 PRIMARY KEY, customer_id int4, total numeric(12,2));
CREATE TABLE public.payroll (employee_id int4 PRIMARY KEY, salary numeric(12,2), iban text);
