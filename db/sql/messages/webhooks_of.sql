-- messages.webhooks_of: what the webhook courier needs of the messages that it has claimed: which event each is about and where
-- it goes, with which of the endpoint's secrets. `old_counts[i]`: the secret before counts too. A message whose event has gone (after 35 days)
-- is not among them. Callers: worker
create or replace function messages.webhooks_of(
  ids uuid[],
  out message_ids uuid[],
  out event_ids uuid[],
  out types text[],
  out told_at timestamptz[],
  out data jsonb[],
  out endpoint_ids uuid[],
  out urls text[],
  out secret_numbers integer[],
  out old_counts boolean[]
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  select coalesce(array_agg(o.id), '{}'), coalesce(array_agg(w.id), '{}'), coalesce(array_agg(w.type), '{}'),
         coalesce(array_agg(w.created_at), '{}'), coalesce(array_agg(w.data), '{}'), coalesce(array_agg(e.id), '{}'),
         coalesce(array_agg(e.url), '{}'), coalesce(array_agg(e.secret_number), '{}'),
         coalesce(array_agg(coalesce(e.secret_old_until > v_now, false)), '{}')
    into webhooks_of.message_ids, webhooks_of.event_ids, webhooks_of.types, webhooks_of.told_at, webhooks_of.data,
         webhooks_of.endpoint_ids, webhooks_of.urls, webhooks_of.secret_numbers, webhooks_of.old_counts
    from messages.outbox o
    join messages.webhook_event w on w.id = (o.body ->> 'event_id')::uuid
    join messages.endpoint e on e.id = o.endpoint_id
   where o.id = any (webhooks_of.ids) and o.channel = 'webhook';
end
$$;
