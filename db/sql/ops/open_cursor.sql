-- ops.open_cursor: where a pass over a list of the outside's goes on: from `position`, down to what is older than `since`.
-- A new pass covers what came since the last whole one, and `overlap` more (lists may be late), but no more than `furthest`,
-- beyond which the outside keeps nothing: what it has forgotten before anybody read it is an alarm of the code `lost`, where one
-- is given. Guarantees: what a pass that died had not read, the next one reads. Callers: worker
create or replace function ops.open_cursor(
  name text,
  overlap interval,
  furthest interval,
  lost text default null,
  out since timestamptz,
  out until timestamptz,
  out "position" text
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
  v_read_until timestamptz;
begin
  -- The first pass has as long as the overlap before what slips away is called lost.
  insert into ops.cursor (name, since) values (open_cursor.name, v_now - open_cursor.furthest + open_cursor.overlap)
  on conflict on constraint cursor_pk do nothing;
  update ops.cursor c
     set until = coalesce(c.until, v_now),
         since = greatest(c.since, v_now - open_cursor.furthest)
   where c.name = open_cursor.name
  returning c.since - open_cursor.overlap, c.until, c.position, old.since
    into strict open_cursor.since, open_cursor.until, open_cursor.position, v_read_until;
  if open_cursor.lost is not null and v_read_until < v_now - open_cursor.furthest then
    perform ops.raise_alarm(open_cursor.lost, open_cursor.name,
      jsonb_build_object('from', v_read_until, 'until', v_now - open_cursor.furthest));
  end if;
end
$$;
