-- billing.set_policy: what the operator decides: `after_end` read_only or open: what a workspace is whose subscription is over;
-- `shortfall` debt, clamp or freeze: what a refund does that takes back more than is there. It holds from the next event on.
-- Guarantees: an audit row in the same statement. Callers: worker
create or replace function billing.set_policy(
  inout after_end text,
  inout shortfall text,
  caused_by text
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  update billing.policy p set after_end = set_policy.after_end, shortfall = set_policy.shortfall;
  perform ops.record_change(
    workspace_id => null, actor => set_policy.caused_by, action => 'policy.set', subject => 'policy',
    detail => jsonb_build_object('after_end', set_policy.after_end, 'shortfall', set_policy.shortfall));
end
$$;
