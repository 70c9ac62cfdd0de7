-- payments.referral_policy: its one row. Run again, it leaves what the operator decided as it is.
insert into payments.referral_policy (singleton) values (true) on conflict (singleton) do nothing;
