-- Clear rows, loaded behind the customers they refer to, and what is computed from protected ones.
INSERT INTO public.orders VALUES (10,1,100,'2024-01-01'),(11,1,250,'2024-01-02'),(12,2,75,'2024-01-03'),(13,3,5,'2024-01-04'),(14,4,900,'2024-01-05');
INSERT INTO public.visits SELECT id, email, 'word' FROM public.accounts WHERE id IN (1, 3);
INSERT INTO public.tickets(customer_id, title) VALUES (1,'first'),(2,'second'),(NULL,'third');
