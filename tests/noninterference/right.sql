-- The other twin: as many rows, the same clear values, other protected ones. What a mask shows is the same as well:
-- `null` shows nothing, so there values are NULL in one twin only; `redact` shows whether there is a value.
INSERT INTO public.customers VALUES
(1,'Alice','zed@corp.test','888-11-2222','+15559990999','1961-05-05',12345.00,'{"ssn":"888-11-2222","med":"otherval"}'),
(2,'Bob','yan@corp.test',NULL,'+15559990888','1962-06-06',99999.00,'{"ssn":"777-33-4444"}'),
(3,'Carol','xi@corp.test','999-55-0000','+15559990777',NULL,45678.00,'{"ssn":"999-55-0000"}'),
(4,'Dan','w@corp.test','999-55-0000','+15559990666','1964-08-08',61000.00,NULL);
INSERT INTO public.payroll VALUES (1,12345,'FR1420041010050500013'),(2,99999,'IT60X0542811101000000'),(3,1,'ES0000');
INSERT INTO public.persons(id, city, code, tags, device, vip, address, photo, visits, weight, seen, wake, stay, grade, nick, mood, place, secret, memo) VALUES
(1,'Rome','OTHERB11',ARRAY['othertaga','y'],'dddddddd-0000-4000-8000-00000000000d',false,'10.11.22.33','\xbeef000001',43,12.5,'1999-12-31 23:59:59+00','01:02','9 years','ZZZ','othernika','sad',ROW('other road',8),NULL,'othermemoa'),
(2,'Oslo','OTHERB12',ARRAY['u'],'eeeeeeee-0000-4000-8000-00000000000e',true,'10.11.22.44','\xbeef',8,99.75,'1998-01-01 00:00:00+00','03:04','1 second','YY','othernikb','happy',ROW('elsewhere',1),'othersecretb',NULL),
(3,'Rome','OTHERB12','{}','eeeeeeee-0000-4000-8000-00000000000e',false,'10.11.22.55','\xbeef0003',8,88.5,'1997-05-06 07:08:09+00','05:06','2 mons','X','othernikc','sad',NULL,'othersecretb','othermemoc');
INSERT INTO public.employees(id, city, code, visits, nick, secret, badge) VALUES (9,'Bern','OTHERB19',6160,'othernikz',NULL,'otherbadgea');
INSERT INTO public.events VALUES (1,1,'open',NULL,11.5),(2,1,'close','othereventb',200.25),(3,2,'open','othereventb',0.5),(101,3,'open','othereventb',-7),(102,4,'close',NULL,61.5);
INSERT INTO public.accounts(id, owner, email, pin, ceiling, spent) VALUES (1,'Ann','zoe@corp.test','otherpin',12.25,10),(2,'Bob','yan@corp.test',NULL,88887.50,20),(3,'Cy',NULL,'otherpin3',NULL,0);
INSERT INTO public.routes VALUES (1,'own','a'),(2,'othersroute','b');
