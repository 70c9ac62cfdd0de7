-- messages.unsettled: which of these messages a channel's receiver may not have taken when it was asked at `since`: they wait, are being
-- sent, could not be sent (dead, under an alarm), or were delivered later than that. Callers: access.compare, access.reconcile,
-- access.waiting_strays
create or replace function messages.unsettled(channel text, dedupe_keys text[], since timestamptz, out names text[])
  language plpgsql stable security definer set search_path = ''
as $$
begin
  select coalesce(array_agg(o.dedupe_key), '{}') into unsettled.names
    from messages.outbox o
   where o.channel = unsettled.channel and o.dedupe_key = any (unsettled.dedupe_keys)
     and (o.state in ('queued', 'sending', 'dead') or o.state = 'delivered' and o.settled_at >= unsettled.since);
end
$$;
