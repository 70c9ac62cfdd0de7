-- messages.attend: somebody asks for a channel's messages: from now on it counts among those that this deployment delivers. Answers how it
-- does. Writes twice a minute at most: of pumps at once, one. Callers: messages.claim
create or replace function messages.attend(channel text, out failures integer, out open_until timestamptz)
  language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  select c.failures, c.open_until into attend.failures, attend.open_until
    from messages.channel c where c.name = attend.channel and c.claimed_at > ops.now() - interval '30 seconds';
  if not found then
    insert into messages.channel as c (name, claimed_at, changed_at)
    values (attend.channel, ops.now(), ops.now())
    on conflict (name) do update set claimed_at = excluded.claimed_at
    returning c.failures, c.open_until into attend.failures, attend.open_until;
  end if;
end
$$;
