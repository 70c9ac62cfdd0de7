-- messages.count_recipients: to how many contacts a broadcast would go now, and whether it could: a dry run. With `data`, its texts are
-- held against them. Reads a thousand contacts at a time. Locks: nothing. Refuses: as messages.demand_template. Callers: worker
create or replace function messages.count_recipients(channel text, kind text, segment jsonb, data jsonb default null)
  returns integer
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_position uuid := '00000000-0000-0000-0000-000000000000';
  v_ids uuid[];
  v_count integer := 0;
begin
  if count_recipients.data is not null then
    perform messages.demand_template(count_recipients.channel, count_recipients.kind, count_recipients.data);
  end if;
  loop
    v_ids := array(
      select c.id from messages.contact c
       where c.channel = count_recipients.channel and c.id > v_position
       order by c.id
       limit 1000);
    v_count := v_count + cardinality(messages.recipients(v_ids, count_recipients.segment, count_recipients.kind));
    exit when cardinality(v_ids) < 1000;
    v_position := v_ids[1000];
  end loop;
  return v_count;
end
$$;
