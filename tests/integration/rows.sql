CREATE TABLE public.orders (
    id int4 PRIMARY KEY,
    customer text NOT NULL,
    total numeric(12,2) NOT NULL,
    status text NOT NULL,
    secret text,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON public.orders (total);
INSERT INTO public.orders
SELECT n, 'c' || n % 7, n * 10, CASE WHEN n % 4 = 0 THEN 'paid' ELSE 'open' END, 's' || n, date_trunc('day', now()) - n * interval '1 day'
FROM generate_series(1, 60) AS n;
-- hidden rows: drafts, and rows of long ago
INSERT INTO public.orders
SELECT 1000 + n, 'CANARY' || n, 808170 + n, CASE WHEN n % 2 = 0 THEN 'draft' ELSE 'paid' END, 'CANARY', now() - interval '300 days'
FROM generate_series(1, 20) AS n;
CREATE TABLE public.events (id int4, kind text, secret text) PARTITION BY LIST (kind);
CREATE TABLE public.events_open PARTITION OF public.events FOR VALUES IN ('open');
CREATE TABLE public.events_closed PARTITION OF public.events FOR VALUES IN ('closed');
INSERT INTO public.events SELECT n, 'open', 's' || n FROM generate_series(1, 20) AS n;
INSERT INTO public.events SELECT 808170 + n, 'closed', 'CANARY' FROM generate_series(1, 20) AS n;
CREATE VIEW public.recent AS SELECT o.id, o.customer, o.total FROM public.orders AS o WHERE o.total > 20;
CREATE TABLE public.lines (order_id int4, text text);
INSERT INTO public.lines SELECT n, 'l' || n FROM generate_series(1, 60) AS n;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO PUBLIC;
ANALYZE;
