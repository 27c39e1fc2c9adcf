-- A shop with its CRM and HR, a few hundred rows a table, the same on every run: values come from the row's number.
CREATE SCHEMA hr;
CREATE SCHEMA crm;

CREATE FUNCTION pick(words text[], n int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT words[1 + abs(n) % cardinality(words)]';

CREATE TABLE hr.departments (id int PRIMARY KEY, name text NOT NULL UNIQUE, budget numeric(12,2) NOT NULL, city text NOT NULL);
INSERT INTO hr.departments VALUES
    (1, 'Support', 250000, 'Lyon'), (2, 'Sales', 900000, 'Ghent'), (3, 'Engineering', 1500000, 'Zürich'),
    (4, 'Finance', 400000, 'Lyon'), (5, 'Legal', 150000, 'Ghent');

CREATE TABLE hr.employees (
    id int PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    phone varchar(20),
    address text,
    title text NOT NULL,
    department_id int NOT NULL REFERENCES hr.departments,
    manager_id int REFERENCES hr.employees,
    salary numeric(10,2) NOT NULL,
    hired_on date NOT NULL,
    left_on date
);
INSERT INTO hr.employees
SELECT n, pick('{Ann,Bob,Carla,Dev,Eva,Farid,Grace}', n) || ' ' || pick('{Adler,Brandt,Costa,Dubois,Eriksen}', n / 3),
       'staff' || n || '@shop.example', '+33 6 ' || 10000000 + n * 4711, n || ' Rue du Port',
       pick('{Agent,Analyst,Engineer,Manager,Counsel}', n), 1 + n % 5, CASE WHEN n > 5 THEN 1 + n % 5 END,
       30000 + (n * 1237) % 60000, date '2015-01-05' + n * 29, CASE WHEN n % 11 = 0 THEN date '2024-01-31' + n END
FROM generate_series(1, 60) AS n;

CREATE TABLE customers (
    id int PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    phone varchar(20),
    address text,
    city text NOT NULL,
    country char(2) NOT NULL,
    segment text NOT NULL,
    birth_date date,
    balance numeric(12,2) NOT NULL,
    signup_at timestamptz NOT NULL,
    is_active boolean NOT NULL,
    tags text[] NOT NULL,
    profile jsonb NOT NULL,
    referred_by int REFERENCES customers,
    notes text
);
INSERT INTO customers
SELECT n, pick('{Ines,Jon,Kofi,Lea,Mona,Nils,Olga,Paul}', n) || ' ' || pick('{Fischer,Garcia,Haddad,Ivanova,Jensen,Keller}', n / 2),
       lower(pick('{Ines,Jon,Kofi,Lea,Mona,Nils,Olga,Paul}', n)) || n || '@' || pick('{mail,corp,web}', n) || '.example',
       CASE WHEN n % 7 > 0 THEN '+41 79 ' || 1000000 + n * 3571 END, n || ' ' || pick('{Oak Lane,Mill Way,Elm Street}', n),
       pick('{Lyon,Zürich,Ghent,Porto}', n), pick('{FR,CH,BE,PT}', n), pick('{retail,wholesale,online}', n),
       CASE WHEN n % 9 > 0 THEN date '1950-03-01' + n * 61 END, ((n * 7919) % 100000) / 10.0 - 500,
       timestamptz '2022-01-03 09:00+00' + n * interval '2 days 5 hours', n % 5 > 0,
       CASE n % 3 WHEN 0 THEN '{vip,newsletter}' WHEN 1 THEN '{newsletter}' ELSE '{}' END::text[],
       jsonb_build_object('language', pick('{fr,de,nl,pt}', n), 'consent', n % 2 = 0, 'limits', jsonb_build_array(n, n * 10)),
       CASE WHEN n > 10 AND n % 4 = 0 THEN n / 4 END, 'note ' || n
FROM generate_series(1, 250) AS n;

CREATE TABLE products (
    id int PRIMARY KEY, sku text NOT NULL UNIQUE, name text NOT NULL, category text NOT NULL, price numeric(8,2) NOT NULL,
    stock int NOT NULL, tags text[] NOT NULL, attributes jsonb NOT NULL, launched_on date NOT NULL
);
INSERT INTO products
SELECT n, 'SKU-' || 1000 + n, pick('{Lamp,Desk,Chair,Shelf,Rug}', n) || ' ' || n, pick('{light,furniture,textile}', n),
       9.9 + (n * 37) % 400, (n * 13) % 50, ARRAY[pick('{oak,steel,wool}', n), pick('{new,sale}', n)],
       jsonb_build_object('weight', n % 20, 'colour', pick('{red,blue,black}', n), 'size', jsonb_build_object('w', n, 'h', n * 2)),
       date '2021-06-01' + n * 11
FROM generate_series(1, 80) AS n;

CREATE TABLE orders (
    id int PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    employee_id int REFERENCES hr.employees,
    ordered_at timestamptz NOT NULL,
    shipped_on date,
    status text NOT NULL,
    channel text NOT NULL,
    total numeric(10,2) NOT NULL,
    discount numeric(4,2),
    shipping_address text NOT NULL
);
INSERT INTO orders
SELECT n, 1 + (n * 17) % 230, CASE WHEN n % 6 > 0 THEN 1 + n % 60 END, timestamptz '2023-01-01 08:30+00' + n * interval '17 hours',
       CASE WHEN n % 4 > 0 THEN date '2023-01-04' + n * 17 / 24 END, pick('{paid,shipped,returned,cancelled,new}', n),
       pick('{web,phone,store}', n), 10 + (n * 991) % 5000 / 7.0, CASE WHEN n % 3 = 0 THEN 0.10 END, n || ' Harbour Road'
FROM generate_series(1, 800) AS n;

CREATE TABLE order_items (
    order_id int NOT NULL REFERENCES orders, line int NOT NULL, product_id int NOT NULL REFERENCES products,
    quantity int NOT NULL, unit_price numeric(8,2) NOT NULL, PRIMARY KEY (order_id, line)
);
INSERT INTO order_items
SELECT o, l, 1 + (o * 7 + l * 3) % 80, 1 + (o + l) % 4, 5 + (o * l) % 90
FROM generate_series(1, 800) AS o, generate_series(1, 3) AS l WHERE (o + l) % 3 > 0;

CREATE TABLE payments (
    id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, method text NOT NULL, card_number varchar(19),
    amount numeric(10,2) NOT NULL, paid_at timestamptz NOT NULL
);
INSERT INTO payments
SELECT n, n, pick('{card,transfer,cash}', n), CASE WHEN n % 3 = 0 THEN '4000 0000 ' || 10000000 + n * 997 END,
       10 + (n * 991) % 5000 / 7.0, timestamptz '2023-01-01 09:00+00' + n * interval '17 hours 20 minutes'
FROM generate_series(1, 600) AS n;

CREATE TABLE crm.leads (
    id int PRIMARY KEY, name text NOT NULL, email text NOT NULL, phone text, company text NOT NULL, source text NOT NULL,
    score int NOT NULL, created_at timestamp NOT NULL, owner_id int REFERENCES hr.employees
);
INSERT INTO crm.leads
SELECT n, pick('{Ines,Jon,Kofi,Lea,Mona,Nils,Olga,Paul}', n) || ' ' || pick('{Fischer,Garcia,Haddad,Ivanova,Jensen,Keller}', n / 2),
       lower(pick('{Ines,Jon,Kofi,Lea,Mona,Nils,Olga,Paul}', n)) || n || '@' || pick('{mail,corp,web}', n) || '.example',
       NULLIF('+41 79 ' || 1000000 + (n % 5) * 3571, '+41 79 1000000'), pick('{Acme,Globex,Initech}', n), pick('{web,fair,referral}', n),
       (n * 31) % 100, timestamp '2023-02-01 10:00' + n * interval '13 hours', 1 + n % 60
FROM generate_series(1, 150) AS n WHERE n % 2 = 0;

CREATE TABLE crm.tickets (
    id int PRIMARY KEY, customer_id int REFERENCES customers, employee_id int REFERENCES hr.employees, requester_email text NOT NULL,
    subject text NOT NULL, body text NOT NULL, priority int NOT NULL, opened_at timestamptz NOT NULL, closed_at timestamptz
);
INSERT INTO crm.tickets
SELECT n, c.id, 1 + n % 60, c.email, pick('{Refund please,Late delivery,Wrong size,Invoice missing}', n), 'Message number ' || n,
       1 + n % 4, timestamptz '2023-03-01 07:00+00' + n * interval '9 hours',
       CASE WHEN n % 3 > 0 THEN timestamptz '2023-03-02 07:00+00' + n * interval '9 hours 30 minutes' END
FROM generate_series(1, 300) AS n JOIN customers AS c ON c.id = 1 + n % 200;

CREATE TABLE crm.interactions (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, session uuid NOT NULL, kind text NOT NULL,
    payload jsonb NOT NULL, happened_at timestamptz NOT NULL
);
INSERT INTO crm.interactions
SELECT n, 1 + n % 120, md5((n / 5)::text)::uuid, pick('{view,click,cart,buy}', n),
       jsonb_build_object('page', '/p/' || n % 20, 'ms', n * 7 % 900, 'items', jsonb_build_array(n % 80, n % 7)),
       timestamptz '2023-05-01 00:00+00' + n * interval '3 hours'
FROM generate_series(1, 500) AS n;

CREATE INDEX orders_by_customer ON orders (customer_id);

CREATE VIEW customer_directory AS
SELECT id, name, email, phone, city, country, is_active FROM customers WHERE is_active;

CREATE VIEW customer_spending AS
SELECT c.id, c.name, c.segment, c.country, count(o.id) AS orders, coalesce(sum(o.total), 0) AS spent, max(o.ordered_at) AS last_order
FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.status <> 'cancelled'
GROUP BY c.id, c.name, c.segment, c.country;

CREATE VIEW monthly_revenue AS
SELECT date_trunc('month', ordered_at)::date AS month, channel, count(*) AS orders, sum(total) AS revenue FROM orders GROUP BY 1, 2;

CREATE VIEW hr.headcount AS
SELECT d.name AS department, count(*) AS people, avg(e.salary) AS average_salary
FROM hr.employees e JOIN hr.departments d ON d.id = e.department_id WHERE e.left_on IS NULL GROUP BY d.name;

CREATE VIEW crm.open_tickets AS
SELECT t.id, t.subject, t.priority, t.opened_at, c.name AS customer, c.email, e.name AS agent
FROM crm.tickets t LEFT JOIN customers c ON c.email = t.requester_email AND c.id = t.customer_id
LEFT JOIN hr.employees e ON e.id = t.employee_id WHERE t.closed_at IS NULL;
DROP FUNCTION pick(text[], int);
ANALYZE;
