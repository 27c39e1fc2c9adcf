-- A twin of left.sql under realistic.yaml: the parts which its masks show are the same, the rest is not.
INSERT INTO public.customers VALUES
(1,'Alice','andre@acme.test','888-11-6789','+15559999911','1984-11-05',93990.00,'{"other":true}'),
(2,'Bob','bea@acme.test','777-33-7890','+15559999922','1990-01-31',49900.00,'{"ssn":"777-33-4444"}'),
(3,'Carol','chris@acme.test','999-55-8901','+15559999933','1975-05-05',70001.00,'[1,2,3]'),
(4,'Dan','dee@acme.test','111-22-9012','+15559999944','2001-12-31',44000.00,NULL);
INSERT INTO public.payroll VALUES (1,12345,'FR1420041010050500013'),(2,99999,'IT60X0542811101000000'),(3,1,'ES0000');
INSERT INTO public.persons(id, city, code, tags, device, vip, address, photo, visits, weight, seen, wake, stay, grade, nick, mood, place, secret, memo) VALUES
(1,'Rome','OTHERBA1',ARRAY['othertagaa','y'],'dddddddd-0000-4000-8000-00000000000d',false,'10.11.22.33','\xbeef0001',43,76.5,'2021-12-31 23:59:59+00','01:02','9 years','ZZZ','othernikaz','sad',ROW('other road',8),'otherssecreta','othermemoa'),
(2,'Oslo','OTHERBA2',ARRAY['othertagbb'],'eeeeeeee-0000-4000-8000-00000000000e',true,'10.11.22.44','\xbeef',5,59.75,'2022-01-01 00:00:00+00','03:04','1 second','YY','othernikbz','happy',ROW('elsewhere',1),NULL,NULL),
(3,'Rome','OTHERBA3','{}','eeeeeeee-0000-4000-8000-00000000000f',false,'10.11.22.55','\xbeef0003',1951,90.5,'2023-05-06 07:08:09+00','05:06','2 mons','X','othernikcz','sad',NULL,'otherssecretc','othermemoc');
INSERT INTO public.employees(id, city, code, visits, nick, secret, badge) VALUES (9,'Bern','OTHERBA9',5101,'othernikzz','otherssecretz','othersbadgea');
INSERT INTO public.events VALUES (1,1,'open','otherseventa',11.5),(2,1,'close','otherseventb',8.25),(3,2,'open',NULL,9.5),(101,3,'open','otherseventd',6),(102,4,'close','othersevente',5996);
INSERT INTO public.accounts(id, owner, email, pin, ceiling, spent) VALUES (1,'Ann','axe@acme.test','otherpin',1234.50,10),(2,'Bob','bud@acme.test',NULL,4876.25,20),(3,'Cy',NULL,'otherpin3',NULL,0);
INSERT INTO public.routes VALUES (1,'own','a'),(2,'othersroute','b');
