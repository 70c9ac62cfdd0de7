-- billing.owes_since: since when a subscription in a state that owes has done so. The first moment that was told after the last at which it
-- owed nothing, or `known`, its past_due_since, where that is earlier and after it, too. Where neither is there, one second told of
-- both: since it was `seen` to owe (null: nobody looked), but not since before it owed nothing. What was seen after that stays: the next
-- event that owes does not begin the grace anew. Callers: billing.note_owing, billing.write_state, billing.sync_subscription
create or replace function billing.owes_since(owing timestamptz[], healthy_at timestamptz, known timestamptz, seen timestamptz)
  returns timestamptz
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return coalesce(
    least(owes_since.owing[1], case when (owes_since.known > owes_since.healthy_at) is not false then owes_since.known end),
    greatest(coalesce(owes_since.seen, owes_since.known), owes_since.healthy_at));
end
$$;
