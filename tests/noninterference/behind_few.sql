-- Rows behind the filters of filtered.yaml, loaded beside those of left.sql: a few.
INSERT INTO public.customers VALUES (501,'hiddenrow','few@acme.test','500-50-5000','+15550100555','1950-05-05',5.00,NULL),(502,'Alice',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO public.orders VALUES (501,501,-1,'2024-02-01'),(5,1,-7777,'2024-02-02');
INSERT INTO public.persons(id, city, code, memo) VALUES (501,'hiddenrow','CANARYA5','behind'),(502,'Rome',NULL,'behind');
INSERT INTO public.employees(id, city, memo, badge) VALUES (509,'hiddenrow','behind','x');
INSERT INTO public.events VALUES (50,1,'draft','hiddenrow',1),(150,1,'draft',NULL,0);
INSERT INTO public.slots(id, owner, during, state) VALUES (10,'anna','[1,5)','free'),(11,'bert','[5,9)','held');
INSERT INTO public.slots(owner, during, state) VALUES ('hiddenrow','[20,30)','gone');
