-- access.stray_day: its one row. Run again, it leaves what is counted there as it is.
insert into access.stray_day (singleton) values (true) on conflict (singleton) do nothing;
