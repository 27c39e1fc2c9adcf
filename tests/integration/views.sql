-- Views of every kind over two tables with masked columns; every sensitive value holds CANARY.
CREATE TABLE people (
    id int4 PRIMARY KEY, name text, email text, ssn varchar(20), born date, balance numeric(12,2), notes text
);
CREATE TABLE visits (id int4 PRIMARY KEY, person_id int4, place text, at timestamptz);
INSERT INTO people
SELECT n, 'CANARY name ' || n % 7, chr(96 + n) || '.CANARY' || n || '@' || CASE WHEN n % 3 = 0 THEN 'one' ELSE 'two' END || '.example',
       'CANARY-' || n * 37 % 11 || n, date '1950-07-01' + n * 397, n * 100.25, 'CANARY notes ' || n
FROM generate_series(1, 20) AS n;
INSERT INTO visits
SELECT n, 1 + n % 20, CASE WHEN n % 2 = 0 THEN 'shop' ELSE 'web' END, timestamptz '2024-01-01 00:00Z' + n * interval '1 day'
FROM generate_series(1, 60) AS n;

CREATE VIEW contacts AS SELECT id, name AS who, email FROM people;
CREATE VIEW shouting AS SELECT id, upper(email) AS loud, length(ssn) AS size, balance > 500 AS rich FROM people;
CREATE VIEW early AS SELECT id, email FROM people WHERE email < 'k' ORDER BY email DESC;
CREATE VIEW per_domain AS SELECT split_part(email, '@', 2) AS domain, count(*) AS n, min(born) AS oldest FROM people GROUP BY 1;
CREATE VIEW nested AS SELECT c.who, c.email AS mail, v.place, v.at FROM contacts c JOIN visits v ON v.person_id = c.id;
CREATE VIEW whole AS SELECT p.id, row_to_json(p) AS person FROM (SELECT id, email, ssn FROM people) AS p;
CREATE VIEW united AS SELECT id, email AS text FROM people UNION ALL SELECT id, place FROM visits;
CREATE VIEW ranked AS SELECT id, rank() OVER (ORDER BY balance DESC) AS place, ssn FROM people;
CREATE VIEW behind WITH (security_barrier) AS SELECT id, email FROM people WHERE balance > 500;
CREATE VIEW annotated AS SELECT id FROM people WHERE notes LIKE '%1%';
CREATE VIEW noted AS SELECT id, notes FROM people;
CREATE VIEW visited AS SELECT id, place, at FROM visits WHERE place = 'shop';
CREATE VIEW types AS SELECT typname FROM pg_type;
CREATE MATERIALIZED VIEW kept AS SELECT id, email, upper(email) AS loud, balance FROM people;
CREATE MATERIALIZED VIEW chosen AS SELECT id FROM people WHERE email LIKE 'a%';
