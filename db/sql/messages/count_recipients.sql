-- messages.count_recipients: to how many contacts a broadcast would go now, and whether it could: a dry run. With `data`, its texts are
-- held against them. Reads a thousand contacts at a time, and the channel's first 100,000 at most (2 s of the role's 8 s): `more`, there
-- are others, and it would go to so many at least. Locks: nothing. Refuses: as messages.demand_template. Callers: worker
create or replace function messages.count_recipients(
  channel text,
  kind text,
  segment jsonb,
  data jsonb default null,
  thousands integer default 100,
  out total integer,
  out more boolean,
  own jsonb default '{}'
)
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_position uuid := '00000000-0000-0000-0000-000000000000';
  v_ids uuid[];
begin
  if count_recipients.data is not null then
    perform messages.demand_template(count_recipients.channel, count_recipients.kind, count_recipients.data,
      count_recipients.own);
  end if;
  count_recipients.total := 0;
  for v_round in 1..count_recipients.thousands loop
    v_ids := array(
      select c.id from messages.contact c
       where c.channel = count_recipients.channel and c.id > v_position
       order by c.id
       limit 1000);
    count_recipients.total := count_recipients.total
      + cardinality(messages.recipients(v_ids, count_recipients.segment, count_recipients.kind));
    if cardinality(v_ids) < 1000 then
      count_recipients.more := false;
      return;
    end if;
    v_position := v_ids[1000];
  end loop;
  count_recipients.more := exists (
    select from messages.contact c where c.channel = count_recipients.channel and c.id > v_position);
end
$$;
