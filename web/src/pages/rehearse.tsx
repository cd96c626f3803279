import { useState } from 'preact/hooks';
import { ApiError, ask } from '../api/client';
import { params } from '../app/router';
import { settings } from '../app/settings';
import { about, parseDuration, stamp } from '../format/time';
import { thousands } from '../format/value';
import { Badge, Failure, Labels, Page, Segments } from '../ui/parts';
import { SubNav } from './subnav';

// Rules as they would have been: the text is run over the samples of the last days, and nothing is sent.
// A rule that came here to be edited is run as it is too, so that the two can be compared.
interface Firing {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  firedAt: string;
  resolvedAt?: string;
  seconds?: number;
}
interface Message {
  time: string;
  receiver: string;
  integration: string;
  reason: string;
  firing: number;
  resolved: number;
  body: string;
}
interface Report {
  alerts: Firing[];
  messages: Message[];
  errors: { rule: string; error: string }[];
  stats: { evaluations: number; queries: number };
}
type Answer = Report | { before: Report; after: Report };
interface Outcome {
  from: number;
  to: number;
  after: Report;
  before: Report | null;
  ms: number;
}

const EXAMPLE = `groups:
- name: rehearsal
  rules:
  - alert: HighLoad
    expr: node_load1 > 2
    for: 5m
    labels: {severity: warning}
    annotations: {summary: "load {{ $value }} on {{ $labels.instance }}"}
`;

export function Rehearse() {
  const original = params.value.get('rules') ?? '';
  const [text, setText] = useState(original || EXAMPLE);
  const [days, setDays] = useState('1d');
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const seconds = parseDuration(days);
  const edited = original !== '' && original !== text;
  const run = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!seconds) return;
    setBusy(true);
    setError(null);
    try {
      const to = Date.now();
      const from = to - seconds * 1000;
      const body = JSON.stringify({ rules: edited ? original : text, from: new Date(from).toISOString(), to: new Date(to).toISOString(), ...(edited && { compare: { rules: text } }) });
      const { data, ms } = await ask<Answer>('rehearse', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      setOutcome('after' in data ? { from, to, ...data, ms } : { from, to, before: null, after: data, ms });
    } catch (e) {
      setOutcome(null);
      setError(e as ApiError);
    }
    setBusy(false);
  };
  return (
    <Page name="rehearse" title="Rehearsal">
      <SubNav of="alerts" />
      <div class="two-columns">
        <form class="card pad silence-form" onSubmit={run}>
          <label>
            Rules, as in a rule file
            <textarea class="mono" rows={16} spellcheck={false} aria-label="Rules" value={text} onInput={(e) => setText(e.currentTarget.value)} />
          </label>
          <div class="line with-label wrap-line">
            <label>
              Over the last
              <input aria-label="How far back" size={6} value={days} onInput={(e) => setDays(e.currentTarget.value)} />
            </label>
            {['6h', '1d', '3d', '7d'].map((d) => <button type="button" class="quiet" key={d} aria-pressed={d === days} onClick={() => setDays(d)}>{d}</button>)}
            {edited && <button type="button" class="quiet" onClick={() => setText(original)}>Undo edits</button>}
            <button type="submit" class="primary aside" data-rehearse disabled={busy || !seconds}>{busy ? 'Rehearsing …' : edited ? 'Rehearse and compare' : 'Rehearse'}</button>
          </div>
          <span class="faint">Stored samples are evaluated again, step by step, through your routes and silences. Nothing is sent.</span>
        </form>
        <div>
          {error && (error.status === 404 ? <div class="notice warn">This server cannot rehearse rules.</div> : <Failure error={error} />)}
          {outcome ? <Result key={outcome.to} outcome={outcome} /> : !error && <section class="card empty">{busy ? 'The past is being evaluated.' : 'What would have fired, and what would have been sent, appears here.'}</section>}
        </div>
      </div>
    </Page>
  );
}

// When alerts of one label set would have fired, as bars on a line of the whole time.
function Bars({ list, from, to }: { list: Firing[]; from: number; to: number }) {
  const x = (ms: number): number => (100 * (Math.min(to, Math.max(from, ms)) - from)) / (to - from);
  return (
    <svg class="firing-bars" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={`${list.length} times`}>
      <rect x="0" y="4.5" width="100" height="1" class="none" />
      {list.slice(0, 400).map((f, i) => {
        const a = x(Date.parse(f.firedAt));
        const b = f.resolvedAt ? x(Date.parse(f.resolvedAt)) : 100;
        return <rect key={i} x={a} y="1" width={Math.max(0.5, b - a)} height="8" class="bad" />;
      })}
    </svg>
  );
}

function grouped(list: Firing[]): [string, Firing[]][] {
  const out = new Map<string, Firing[]>();
  for (const f of list) {
    const key = JSON.stringify(Object.entries(f.labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    out.set(key, [...(out.get(key) ?? []), f]);
  }
  return [...out];
}

const total = (list: Firing[], to: number): number => list.reduce((sum, f) => sum + (f.seconds ?? (to - Date.parse(f.firedAt)) / 1000), 0);

function Result({ outcome }: { outcome: Outcome }) {
  const { from, to, after, before, ms } = outcome;
  const [view, setView] = useState<'alerts' | 'times' | 'messages'>('alerts');
  const utc = settings.value.timezone === 'utc';
  const old = new Map(before ? grouped(before.alerts) : []);
  const rows = grouped(after.alerts);
  const gone = [...old].filter(([key]) => !rows.some(([k]) => k === key));
  const change = (was: number, is: number): string => (is === was ? 'as before' : `${was} before`);
  return (
    <section class="card" data-rehearsed={after.alerts.length} data-rehearsed-before={before?.alerts.length}>
      <div class="card-head wrap-line">
        <h2>{after.alerts.length === 0 ? 'Nothing would have fired' : after.alerts.length === 1 ? 'Would have fired once' : `Would have fired ${thousands(after.alerts.length)} times`}</h2>
        {before && <Badge tone={after.alerts.length > before.alerts.length ? 'warn' : after.alerts.length < before.alerts.length ? 'ok' : 'unknown'} icon={false}>{change(before.alerts.length, after.alerts.length)}</Badge>}
        <span class="faint">{thousands(after.messages.length)} messages{before ? ` (${change(before.messages.length, after.messages.length)})` : ''} · {thousands(after.stats.evaluations)} evaluations in {about(ms / 1000)}</span>
        <span class="aside"><Segments label="What" value={view} options={[['alerts', 'Alerts'], ['times', 'Times'], ['messages', 'Messages']]} onPick={setView} /></span>
      </div>
      {after.errors.map((e) => <div class="notice bad" role="alert" key={e.rule}>{e.rule}: {e.error}</div>)}
      {view === 'alerts' && (
        <div class="rehearsal-list">
          <div class="rehearsal-axis faint"><span>{stamp(from / 1000, utc)}</span><span>{stamp(to / 1000, utc)}</span></div>
          {[...rows, ...gone.map(([key]): [string, Firing[]] => [key, []])].slice(0, 100).map(([key, list]) => {
            const was = old.get(key);
            const labels = Object.fromEntries(JSON.parse(key) as [string, string][]);
            return (
              <div class="rehearsal-row" key={key}>
                <div class="one-line"><b>{labels.alertname}</b> <Labels labels={labels} hide={['alertname']} /></div>
                <span class="num dim nowrap">{list.length === 0 ? <Badge tone="ok" icon={false}>no longer</Badge> : `${list.length} × ${about(total(list, to) / list.length)}`}</span>
                <div class="rehearsal-bars">
                  <Bars list={list} from={from} to={to} />
                  {before && <div class="was"><Bars list={was ?? []} from={from} to={to} /></div>}
                </div>
              </div>
            );
          })}
          {rows.length > 100 && <p class="faint pad">+{rows.length - 100} more</p>}
        </div>
      )}
      {view === 'times' && (
        <div class="table-scroll">
          <table>
            <tbody>
              {after.alerts.slice(0, 500).map((a, i) => (
                <tr key={i}>
                  <td class="nowrap mono">{stamp(Date.parse(a.firedAt) / 1000, utc)}</td>
                  <td class="nowrap dim">{a.seconds !== undefined ? about(a.seconds) : <Badge tone="bad">still firing</Badge>}</td>
                  <td><b>{a.labels.alertname}</b> <Labels labels={a.labels} hide={['alertname']} /><div class="dim wrap">{a.annotations.summary ?? a.annotations.description}</div></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {view === 'messages' && (
        <div>
          {after.messages.slice(0, 200).map((m, i) => (
            <details class="message" key={i}>
              <summary>
                <span class="mono nowrap">{stamp(Date.parse(m.time) / 1000, utc)}</span> <b>{m.receiver}</b> <span class="faint">{m.integration}</span> <span class="dim">{m.firing} firing, {m.resolved} resolved: {m.reason}</span>
              </summary>
              <pre>{pretty(m.body)}</pre>
            </details>
          ))}
          {after.messages.length === 0 && <div class="empty">Nobody would have been told.</div>}
        </div>
      )}
    </section>
  );
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
