-- messages.notices: what the house has to say to workspaces is handed to their contacts, a batch of notices at once (D8).
-- Guarantees: right at none, one or many at once; run again at once it changes nothing. All of a batch, or, where that fails, notice by
--   notice: the bad one is parked alone with its error. An error of the moment is raised again.
-- Locks: the notices, SKIP LOCKED. Callers: worker (sweep notices)
create or replace function messages.notices(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_id uuid;
  v_state text;
  v_error text;
begin
  perform messages.attend('notice');
  with due as materialized (
    select o.id from messages.outbox o
     where o.channel = 'notice' and o.due_at <= (select ops.now())
     order by o.due_at, o.id
     limit notices.batch
       for no key update skip locked
  )
  select coalesce(array_agg(d.id order by d.id), '{}') into v_ids from due d;
  notices.processed := 0;
  notices.failed := 0;
  notices.more := cardinality(v_ids) = notices.batch;
  if cardinality(v_ids) = 0 then
    return;
  end if;
  begin
    perform messages.fan_out(v_ids);
    notices.processed := cardinality(v_ids);
    return;
  exception when others then
    if ops.is_passing(sqlstate) then
      raise;
    end if;
  end;
  foreach v_id in array v_ids loop
    begin
      perform messages.fan_out(array[v_id]);
      notices.processed := notices.processed + 1;
    exception when others then
      if ops.is_passing(sqlstate) then
        raise;
      end if;
      get stacked diagnostics v_state = returned_sqlstate, v_error = message_text;
      update messages.outbox o
         set due_at = ops.park('notices', v_id::text, v_state, v_error), error = left(v_error, 2000)
       where o.id = v_id;
      notices.failed := notices.failed + 1;
    end;
  end loop;
end
$$;
