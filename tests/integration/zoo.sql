-- One column of each type that masks know, with a canary in each sensitive one: nothing that holds CANARY, 909090 or
-- 1961-07 may reach a client under the scope `support`. Row 3 has NULLs.
CREATE TABLE people (
    id int PRIMARY KEY,
    city text NOT NULL,
    joined timestamptz NOT NULL,
    score float8,
    name text,
    email text,
    ssn varchar(40),
    phone char(24),
    birth date,
    seen timestamptz,
    balance numeric(12,2),
    visits int,
    weight float8,
    account bigint,
    device uuid,
    profile jsonb,
    photo bytea,
    tags text[],
    vip bool,
    notes text
);
INSERT INTO people VALUES
    (1, 'Lyon', '2024-01-02 03:04:05+00', 1.5, 'CANARY Ann', 'CANARY.ann@example.com', 'CANARY-909090-6789', '+33 CANARY 11',
     '1961-07-16', '1961-07-16 11:12:13+00', 909090.25, 9090901, 909090.5, 9090909090, '90909090-9090-4090-8090-909090909090',
     '{"card": "CANARY"}', 'CANARY', '{CANARY,909090}', true, 'CANARY note'),
    (2, 'Zürich', '2024-02-03 04:05:06+00', -2.25, 'CANARY Bob', 'CANARY.bob@example.com', 'CANARY-909090-1234', '+41 CANARY 22',
     '1961-07-17', '1961-07-17 11:12:13+00', 909090.75, 9090902, 909090.5, 9090909091, '90909090-9090-4090-8090-909090909091',
     '{"card": "CANARY"}', 'CANARY 2', '{CANARY,NULL}', false, 'CANARY note'),
    (3, 'Ghent', '2024-03-04 05:06:07+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
     NULL, NULL, NULL),
    (4, 'Lyon', '2024-04-05 06:07:08+00', 0, 'CANARY Ann', 'CANARY.ann@example.com', 'CANARY-909090-6789', '+33 CANARY 11',
     '1961-07-16', '1961-07-16 11:12:13+00', 909090.25, 9090901, 909090.5, 9090909090, '90909090-9090-4090-8090-909090909090',
     '{"card": "CANARY"}', 'CANARY', '{CANARY,909090}', true, 'CANARY note');

CREATE TABLE visits (id int PRIMARY KEY, person int NOT NULL REFERENCES people, at date NOT NULL, fee numeric(8,2));
INSERT INTO visits SELECT n, 1 + n % 4, date '2024-01-01' + n, n / 4.0 FROM generate_series(1, 200) AS n;

CREATE TABLE wide (id int PRIMARY KEY, filler text NOT NULL, secret text NOT NULL);
INSERT INTO wide SELECT n, repeat('x', 1000), 'CANARY-' || n FROM generate_series(1, 20000) AS n;

CREATE TABLE payroll (person int PRIMARY KEY, salary numeric(10,2));
INSERT INTO payroll VALUES (1, 909090.00);
ANALYZE;
