-- One twin: the values of the attack corpus.
INSERT INTO public.customers VALUES
(1,'Alice','alice@acme.test','123-45-6789','+15550100111','1984-02-29',91250.00,'{"ssn":"123-45-6789","med":"canaryjsn"}'),
(2,'Bob','bob@acme.test','234-56-7890','+15550100222','1990-07-04',50500.00,'{"ssn":"234-56-7890"}'),
(3,'Carol','carol@acme.test','345-67-8901','+15550100333','1975-12-01',73000.00,'{"ssn":"345-67-8901"}'),
(4,'Dan','dan@acme.test','456-78-9012','+15550100444','2001-01-31',38000.00,NULL);
INSERT INTO public.payroll VALUES (1,91250,'GB33BUKB20201555555555'),(2,50500,'DE89370400440532013000');
INSERT INTO public.persons(id, city, code, tags, device, vip, address, photo, visits, weight, seen, wake, stay, grade, nick, mood, place, secret, memo) VALUES
(1,'Rome','CANARYA1',ARRAY['canarytaga','x'],'aaaaaaaa-0000-4000-8000-00000000000a',true,'10.99.88.77','\xcafe0001',42,77.125,'2021-03-04 05:06:07+00','07:31','5 days','AAA','canarynika','happy',ROW('canary road',7),'canarysecreta','canarymemoa'),
(2,'Oslo','CANARYA2',ARRAY['canarytagb'],'bbbbbbbb-0000-4000-8000-00000000000b',false,'10.99.88.66','\xcafe0002',7,61.5,'2022-08-09 10:11:12+00','22:45','3 hours','BBB','canarynikb','sad',NULL,NULL,'canarymemob'),
(3,'Rome','CANARYA3','{}','cccccccc-0000-4000-8000-00000000000c',true,'10.99.88.55','\xcafe0003',1999,88.25,'2023-01-02 03:04:05+00','12:00','1 mon','CCC','canarynikc','ok',ROW('canary lane',9),'canarysecretc',NULL);
INSERT INTO public.employees(id, city, code, visits, nick, secret, badge) VALUES (9,'Bern','CANARYA9',5150,'canarynikz','canarysecretz','canarybadgea');
INSERT INTO public.events VALUES (1,1,'open','canaryeventa',10.25),(2,1,'close','canaryeventb',9.75),(3,2,'open',NULL,8.5),(101,3,'open','canaryeventd',7),(102,4,'close','canaryevente',6000);
INSERT INTO public.accounts(id, owner, email, pin, ceiling, spent) VALUES (1,'Ann','ann@acme.test','canarypin1',4321.50,10),(2,'Bob','bob@acme.test','canarypin22',123.75,20),(3,'Cy',NULL,'canarypin3',NULL,0);
INSERT INTO public.routes VALUES (1,'own','a'),(2,'canaryroute','b');
