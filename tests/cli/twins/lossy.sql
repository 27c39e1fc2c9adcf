-- What cannot: functions are not made again, and what needs them is not as it was.
CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE TYPE public.shell;
CREATE FUNCTION public.shell_in(cstring) RETURNS public.shell LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION public.shell_out(public.shell) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE public.shell (INPUT = public.shell_in, OUTPUT = public.shell_out, LIKE = int4);
CREATE TABLE public.plain (id int PRIMARY KEY, value int, kept int GENERATED ALWAYS AS (value + 1) STORED, own public.shell);
CREATE INDEX by_twice ON public.plain (public.twice(value));
CREATE VIEW public.doubled AS SELECT id, public.twice(value) AS value FROM public.plain;
