-- payments.set_referral_policy: what a referrer gets: `percent` of what is paid (0: nothing), of the first payment or (`recurring`)
-- of each. It holds from the next payment on; what was given stays.
-- Guarantees: an audit row in the same statement. Refuses: constraint referral_policy_percent_within. Callers: worker
create or replace function payments.set_referral_policy(
  inout percent integer,
  inout recurring boolean,
  caused_by text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update payments.referral_policy p
     set percent = set_referral_policy.percent, recurring = set_referral_policy.recurring;
  perform ops.record_change(
    workspace_id => null, actor => set_referral_policy.caused_by, action => 'referral_policy.set', subject => 'referral_policy',
    detail => jsonb_build_object('percent', set_referral_policy.percent, 'recurring', set_referral_policy.recurring));
end
$$;
