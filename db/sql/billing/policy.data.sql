-- billing.policy: its one row. Run again, it leaves what the operator decided as it is.
insert into billing.policy (singleton) values (true) on conflict (singleton) do nothing;
