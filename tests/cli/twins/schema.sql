-- What can be made again: types, keys, partitions, inheritance, views on views; with names that need quotes.
CREATE SCHEMA "App";
CREATE TYPE "App".mood AS ENUM ('sad', 'it''s ok', 'happy');
CREATE DOMAIN "App".mail AS text;
CREATE DOMAIN "App".number AS int NOT NULL;
CREATE TYPE "App".address AS (street text, "no" int, mood "App".mood);
CREATE TYPE "App".span AS RANGE (subtype = float8);
CREATE TABLE "App"."People" (
    id bigint PRIMARY KEY, mail "App".mail UNIQUE, number "App".number, moods "App".mood[], address "App".address,
    span "App".span, doubled int GENERATED ALWAYS AS (number * 2) STORED, code char(3), nick varchar(12) COLLATE "C",
    tags text[] NOT NULL, profile jsonb, device uuid, photo bytea, seen timestamptz(3), short smallint, flag boolean
);
CREATE UNIQUE INDEX ON "App"."People" (lower(mail::text));
CREATE TABLE "App".orders (id int PRIMARY KEY, person bigint NOT NULL REFERENCES "App"."People", mail text, at date);
CREATE INDEX ON "App".orders (at) WHERE mail IS NOT NULL;
CREATE TABLE "App".events (id int, at date NOT NULL, who text) PARTITION BY RANGE (at);
CREATE TABLE "App".events_24 PARTITION OF "App".events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE "App".events_25 PARTITION OF "App".events DEFAULT PARTITION BY LIST (who);
CREATE TABLE "App".events_25_ab PARTITION OF "App".events_25 FOR VALUES IN ('a', 'b');
CREATE TABLE "App".events_25_rest PARTITION OF "App".events_25 DEFAULT;
CREATE TABLE "App".parent (id int, nick text);
CREATE TABLE "App".child (extra text) INHERITS ("App".parent);
CREATE FUNCTION "App".mail_of(bigint) RETURNS text LANGUAGE sql AS 'SELECT mail FROM "App"."People" WHERE id = $1';
CREATE VIEW "App".mails WITH (security_barrier) AS SELECT id, upper(mail::text) AS mail FROM "App"."People";
CREATE VIEW "App".on_mails AS SELECT mail FROM "App".mails WHERE id > 3;
CREATE MATERIALIZED VIEW "App".codes AS SELECT id, code FROM "App"."People";
