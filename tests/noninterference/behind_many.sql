-- Many, with other values, loaded beside those of right.sql.
SELECT setval('public.slots_id_seq', 7000);
INSERT INTO public.slots(owner, during, state) SELECT 'hiddenrow' || n, int4range(100 + n, 101 + n), 'gone' FROM generate_series(20, 2000) AS n;
INSERT INTO public.slots(id, owner, during, state) VALUES (10,'anna','[1,5)','free'),(11,'bert','[5,9)','held');
INSERT INTO public.slots(owner, during, state) VALUES ('zoe','[40,50)','gone');
INSERT INTO public.customers SELECT n, 'hiddenrow' || n, NULL, NULL, NULL, NULL, NULL, NULL FROM generate_series(600, 640) AS n;
INSERT INTO public.orders SELECT n, CASE n % 2 WHEN 0 THEN 600 + n % 40 ELSE 1 + n % 4 END, -n, '2019-01-01' FROM generate_series(600, 8000) AS n;
INSERT INTO public.orders VALUES (6,2,-1,'2024-02-02'),(7,4,0.5 - 1,'2024-02-02');
INSERT INTO public.persons(id, city, memo) SELECT n, 'hiddenrow' || n, 'behind' FROM generate_series(600, 3000) AS n;
INSERT INTO public.employees(id, city, memo) SELECT n, 'hiddenrow' || n, 'behind' FROM generate_series(3001, 4000) AS n;
INSERT INTO public.events SELECT n, n, 'draft', 'hiddenrow', 0 FROM generate_series(103, 999) AS n;
