import { useState } from 'preact/hooks';
import { ApiError, ask } from '../api/client';
import { settings } from '../app/settings';
import { about, parseDuration, stamp } from '../format/time';
import { thousands } from '../format/value';
import { Badge, Failure, Labels, Page } from '../ui/parts';
import { SubNav } from './subnav';
import { params } from '../app/router';

// Rules as they would have been: the text is run over the samples of the last days, and nothing is sent.
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
  firing: number | unknown[];
  resolved: number | unknown[];
  body: string;
}
interface Report {
  alerts: Firing[];
  messages: Message[];
  errors: { rule: string; error: string }[];
  stats: { evaluations: number; queries: number };
}
interface Compared {
  alertsOnlyBefore: Firing[];
  alertsOnlyAfter: Firing[];
}
type Answer = Report & { before?: Report; after?: Report; diff?: Compared };

const EXAMPLE = `groups:
- name: rehearsal
  rules:
  - alert: HighLoad
    expr: node_load1 > 2
    for: 5m
    labels: {severity: warning}
    annotations: {summary: "load {{ $value }} on {{ $labels.instance }}"}
`;

const count = (v: number | unknown[]): number => (Array.isArray(v) ? v.length : v);

export function Rehearse() {
  const [text, setText] = useState(params.value.get('rules') || EXAMPLE);
  const [days, setDays] = useState('1d');
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const utc = settings.value.timezone === 'utc';
  const seconds = parseDuration(days);
  const run = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!seconds) return;
    setBusy(true);
    setError(null);
    try {
      const now = Date.now();
      const { data } = await ask<Answer>('rehearse', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ rules: text, from: new Date(now - seconds * 1000).toISOString(), to: new Date(now).toISOString() }) });
      setAnswer(data);
    } catch (e) {
      setAnswer(null);
      setError(e as ApiError);
    }
    setBusy(false);
  };
  return (
    <Page name="rehearse" title="Rehearsal">
      <SubNav of="alerts" />
      <form class="card pad silence-form" onSubmit={run}>
        <label>
          Rules, as in a rule file
          <textarea class="mono" rows={14} spellcheck={false} aria-label="Rules" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <div class="line">
          <label>
            Over the last
            <input aria-label="How far back" size={6} value={days} onInput={(e) => setDays(e.currentTarget.value)} />
          </label>
          {['6h', '1d', '3d', '7d'].map((d) => <button type="button" class="quiet" key={d} onClick={() => setDays(d)}>{d}</button>)}
          <button type="submit" class="primary" data-rehearse disabled={busy || !seconds}>{busy ? 'Rehearsing …' : 'Rehearse'}</button>
          <span class="dim">Nothing is sent.</span>
        </div>
      </form>
      {error && (error.status === 404 ? <div class="notice warn">This server cannot rehearse rules.</div> : <Failure error={error} />)}
      {answer && <Outcome report={answer.after ?? answer} utc={utc} />}
    </Page>
  );
}

function Outcome({ report, utc }: { report: Report; utc: boolean }) {
  return (
    <>
      <section class="card table-scroll" data-rehearsed={report.alerts.length}>
        <div class="card-head">
          <h2>{report.alerts.length === 0 ? 'Nothing would have fired' : `${report.alerts.length} alerts would have fired`}</h2>
          <span class="faint">{thousands(report.stats?.evaluations ?? 0)} evaluations</span>
        </div>
        {report.errors?.map((e) => <div class="notice bad" role="alert" key={e.rule}>{e.rule}: {e.error}</div>)}
        <table>
          <tbody>
            {report.alerts.slice(0, 500).map((a, i) => (
              <tr key={i}>
                <td class="nowrap mono">{stamp(Date.parse(a.firedAt) / 1000, utc)}</td>
                <td class="nowrap dim">{a.seconds !== undefined ? about(a.seconds) : <Badge tone="bad">still firing</Badge>}</td>
                <td><b>{a.labels.alertname}</b> <Labels labels={a.labels} hide={['alertname']} /><div class="dim wrap">{a.annotations.summary ?? a.annotations.description}</div></td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {report.messages.length > 0 && (
        <section class="card table-scroll">
          <div class="card-head"><h2>{report.messages.length} messages would have been sent</h2></div>
          <table>
            <tbody>
              {report.messages.slice(0, 200).map((m, i) => (
                <tr key={i}>
                  <td class="nowrap mono">{stamp(Date.parse(m.time) / 1000, utc)}</td>
                  <td>{m.receiver} <span class="faint">{m.integration}</span></td>
                  <td class="dim">{m.reason}</td>
                  <td class="num">{count(m.firing)} firing, {count(m.resolved)} resolved</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </>
  );
}
