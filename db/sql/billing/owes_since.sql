-- billing.owes_since: since when a subscription in a state that owes has done so: the first moment that was told after the last at which it
-- owed nothing, or `known`, its past_due_since, where that is earlier and after it, too. Events have whole seconds: where one told of both
-- no moment of it is left, and what is known is when the provider was looked at; the next event that owes does not begin the grace anew.
-- Null where nothing was told or known. Callers: billing.note_owing, billing.write_state
create or replace function billing.owes_since(owing timestamptz[], healthy_at timestamptz, known timestamptz)
  returns timestamptz
  language plpgsql immutable security definer set search_path = ''
as $$
begin
  return coalesce(
    least(owes_since.owing[1], case when (owes_since.known > owes_since.healthy_at) is not false then owes_since.known end),
    owes_since.known);
end
$$;
