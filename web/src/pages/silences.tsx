import { useEffect, useState } from 'preact/hooks';
import { ApiError, plain } from '../api/client';
import { mayChange } from '../app/access';
import { go, href, params, path } from '../app/router';
import { settings } from '../app/settings';
import { ago, parseDuration, stamp } from '../format/time';
import { Icon } from '../ui/icons';
import { Badge, Failure, Labels, Loaded, Page, useLoad } from '../ui/parts';
import { missing, NoAlertmanager, type AmAlert } from './notifications';
import { matcherText, parseFilter, type Matcher } from './silence_link';
import { SubNav } from './subnav';

interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
  status: { state: 'active' | 'pending' | 'expired' };
  recurrence?: { weekdays?: string[]; times?: { start_time: string; end_time: string }[]; location?: string };
}

const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

const send = (method: string, body?: unknown): RequestInit => ({ method, headers: { 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body) });

// The hours of a week in which a recurring silence holds, one strip a day.
function Week({ days, from, to }: { days: string[]; from: string; to: string }) {
  const hour = (t: string): number => Number(t.slice(0, 2)) + Number(t.slice(3)) / 60;
  const left = Math.min(24, hour(from));
  const right = Math.min(24, hour(to));
  return (
    <div class="week" role="img" aria-label={`${days.join(', ')} from ${from} to ${to}`}>
      {DAYS.map((d) => (
        <div class="week-day" key={d}>
          <small>{d.slice(0, 3)}</small>
          <i>{days.includes(d) && right > left && <b style={{ left: `${(100 * left) / 24}%`, width: `${(100 * (right - left)) / 24}%` }} />}</i>
        </div>
      ))}
    </div>
  );
}

const GOOD_HOUR = /^(([01]\d|2[0-3]):[0-5]\d|24:00)$/;

function Form({ start }: { start: Matcher[] }) {
  const [text, setText] = useState(start.map(matcherText).join(', '));
  const [length, setLength] = useState('2h');
  const [author, setAuthor] = useState(localStorage.getItem('vedette.author') ?? '');
  const [comment, setComment] = useState('');
  const [weekly, setWeekly] = useState(false);
  const [week, setWeek] = useState<string[]>(['saturday', 'sunday']);
  const [hours, setHours] = useState(['00:00', '24:00']);
  const [remind, setRemind] = useState('');
  const [hit, setHit] = useState<AmAlert[] | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const matchers = parseFilter(text);
  const seconds = parseDuration(length);
  const reminder = remind.trim() === '' ? 0 : parseDuration(remind);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const recurrence = weekly && { recurrence: { weekdays: week, times: [{ start_time: hours[0], end_time: hours[1] }], location: zone } };
  const silence = (): Record<string, unknown> => {
    const now = Date.now();
    return { matchers, startsAt: new Date(now).toISOString(), endsAt: new Date(now + seconds! * 1000).toISOString(), createdBy: author, comment, ...recurrence, ...(reminder ? { remindBefore: remind.trim() } : {}) };
  };
  useEffect(() => {
    if (!matchers || matchers.length === 0) {
      setHit(null);
      return;
    }
    const abort = new AbortController();
    const query = new URLSearchParams();
    for (const m of matchers) query.append('filter', matcherText(m));
    // What is typed quickly is asked once.
    const timer = setTimeout(() => {
      plain<AmAlert[]>('api/v2/alerts?' + query, { signal: abort.signal }).then(
        (alerts) => (setHit(alerts), setError(null)),
        (e) => !abort.signal.aborted && setError(e),
      );
    }, 150);
    return () => (clearTimeout(timer), abort.abort());
  }, [text]);
  const problem = !matchers || matchers.length === 0 ? 'name at least one matcher' : !seconds ? 'how long? 30m, 2h, 7d' : weekly && (week.length === 0 || !hours.every((h) => GOOD_HOUR.test(h)) || hours[0] >= hours[1]) ? 'which days, and from when to when? 22:00 to 24:00' : reminder === null ? 'how long before the end? 1h, or nothing' : author === '' ? 'say who you are' : comment === '' ? 'say why' : null;
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (problem !== null || busy) return;
    setBusy(true);
    try {
      localStorage.setItem('vedette.author', author);
      const made = await plain<{ silenceID: string }>('api/v2/silences', send('POST', silence()));
      go(`/silences/${made.silenceID}`);
    } catch (e) {
      setError(e as ApiError);
      setBusy(false);
    }
  };
  return (
    <form class="two-columns" onSubmit={save}>
      <section class="card pad silence-form">
        <label>
          Matchers
          <textarea class="mono" rows={3} aria-label="Matchers" spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <div class="line with-label">
          <label>
            For
            <input aria-label="Duration" size={8} value={length} onInput={(e) => setLength(e.currentTarget.value)} />
          </label>
          {(weekly ? ['7d', '30d', '90d', '365d'] : ['30m', '2h', '8h', '1d', '7d']).map((d) => (
            <button type="button" class="quiet" key={d} aria-pressed={d === length} onClick={() => setLength(d)}>
              {d}
            </button>
          ))}
        </div>
        <label class="check">
          <input type="checkbox" data-recurring checked={weekly} onChange={(e) => (setWeekly(e.currentTarget.checked), setLength(e.currentTarget.checked ? '30d' : '2h'))} /> Only in these hours of the week
        </label>
        {weekly && (
          <fieldset>
            <legend class="dim">Hours of the week, {zone}</legend>
            <div class="line wrap-line">
              {DAYS.map((d) => (
                <label class="check" key={d}>
                  <input type="checkbox" checked={week.includes(d)} onChange={() => setWeek(week.includes(d) ? week.filter((x) => x !== d) : [...week, d])} /> {d.slice(0, 3)}
                </label>
              ))}
              <span class="line">
                <input aria-label="From" size={5} value={hours[0]} onInput={(e) => setHours([e.currentTarget.value, hours[1]])} />
                to
                <input aria-label="To" size={5} value={hours[1]} onInput={(e) => setHours([hours[0], e.currentTarget.value])} />
              </span>
            </div>
            <Week days={week} from={hours[0]} to={hours[1]} />
          </fieldset>
        )}
        <div class="halves">
          <label>
            Who
            <input aria-label="Author" value={author} onInput={(e) => setAuthor(e.currentTarget.value)} />
          </label>
          <label>
            Reminder before the end
            <input aria-label="Reminder" placeholder="never" value={remind} onInput={(e) => setRemind(e.currentTarget.value)} />
          </label>
        </div>
        <label>
          Why
          <textarea rows={2} aria-label="Comment" value={comment} onInput={(e) => setComment(e.currentTarget.value)} />
        </label>
        {error && <Failure error={error} />}
        <div class="line">
          <button type="submit" class="primary" disabled={problem !== null || busy}>
            {weekly ? 'Silence every week' : 'Silence'}
          </button>
          {problem && <span class="dim" role="status">{problem}</span>}
        </div>
      </section>
      <section class="card" data-silence-preview={hit?.length ?? ''}>
        <div class="card-head">
          <h2>{hit === null ? 'Preview' : hit.length === 1 ? 'Holds back 1 alert' : `Holds back ${hit.length} alerts`}</h2>
          <span class="faint">{hit === null ? '' : weekly ? 'in those hours, of what fires now' : 'of what fires now'}</span>
        </div>
        {hit?.slice(0, 100).map((a) => (
          <div class="preview-row" key={a.fingerprint}>
            <b>{a.labels.alertname}</b>
            <Labels labels={a.labels} hide={['alertname']} />
            {a.status.silencedBy.length > 0 && <Badge tone="unknown">silenced already</Badge>}
          </div>
        ))}
        {hit !== null && hit.length > 100 && <p class="faint pad">+{hit.length - 100} more</p>}
        {hit?.length === 0 && <div class="empty">Nothing that fires now. The silence holds back what comes.</div>}
      </section>
    </form>
  );
}

export function Silences() {
  const rest = path.value.replace(/^\/silences\/?/, '');
  const load = useLoad(
    async (signal) => {
      try {
        return await plain<Silence[]>('api/v2/silences', { signal });
      } catch (e) {
        if (missing(e)) return null;
        throw e;
      }
    },
    [rest],
    15,
  );
  const utc = settings.value.timezone === 'utc';
  const isNew = rest === 'new';
  const filter = params.value.get('filter') ?? '';
  return (
    <Page
      name="silences"
      title={isNew ? 'New silence' : 'Silences'}
      aside={
        !isNew && load.data && mayChange() ? (
          <a class="button" href={href('/silences/new')}>
            <Icon name="plus" size={14} /> New silence
          </a>
        ) : undefined
      }
    >
      <SubNav of="alerts" />
      <Loaded load={load}>
        {(all) => {
          if (all === null) return <NoAlertmanager />;
          if (isNew) return <Form key={filter} start={parseFilter(filter) ?? []} />;
          const list = (rest === '' ? all : all.filter((s) => s.id === rest)).slice().sort((a, b) => Number(a.status.state === 'expired') - Number(b.status.state === 'expired') || b.endsAt.localeCompare(a.endsAt));
          if (list.length === 0) return <div class="card empty">{rest === '' ? 'No silences.' : 'There is no such silence.'}</div>;
          const now = Date.now() / 1000;
          return (
            <section class="card table-scroll">
              <table>
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Matchers</th>
                    <th scope="col">Why</th>
                    <th scope="col">Who</th>
                    <th scope="col">Ends</th>
                    <th scope="col" />
                  </tr>
                </thead>
                <tbody>
                  {list.map((s) => (
                    <tr key={s.id} data-silence={s.id} data-state={s.status.state}>
                      <td>
                        <Badge tone={s.status.state === 'active' ? 'accent' : 'unknown'}>{s.recurrence && s.status.state === 'pending' ? 'waiting' : s.status.state}</Badge>
                      </td>
                      <td class="mono wrap">{s.matchers.map(matcherText).join(', ')}</td>
                      <td class="wrap">
                        {s.comment}
                        {s.recurrence && <div class="dim">every {[...(s.recurrence.weekdays ?? []), ...(s.recurrence.times ?? []).map((t) => `${t.start_time} to ${t.end_time}`), ...(s.recurrence.location ? [s.recurrence.location] : [])].join(', ')}</div>}
                      </td>
                      <td>{s.createdBy}</td>
                      <td class="nowrap" title={stamp(Date.parse(s.endsAt) / 1000, utc)}>
                        {ago(Date.parse(s.endsAt) / 1000, now)}
                      </td>
                      <td class="num nowrap">
                        {!mayChange() ? null : s.status.state === 'expired' ? (
                          <a href={href(`/silences/new?filter=${encodeURIComponent(`{${s.matchers.map(matcherText).join(', ')}}`)}`)}>again</a>
                        ) : (
                          <button type="button" class="quiet" data-expire onClick={() => void plain(`api/v2/silence/${s.id}`, send('DELETE')).then(load.again, load.again)}>
                            Expire
                          </button>
                        )}
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
