-- ops.clock: its one row. Run again, it leaves an offset as it is: only the local stack has one.
insert into ops.clock (singleton) values (true) on conflict (singleton) do nothing;
