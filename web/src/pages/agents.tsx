import { useState } from 'preact/hooks';
import { get, query } from '../api/client';
import { href, params, setParams } from '../app/router';
import { ago } from '../format/time';
import { number, thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { Badge, Filter, Loaded, Page, useLoad, type Tone } from '../ui/parts';
import { SubNav } from './subnav';
import type { Target } from './targets';

// The nodes: which version runs there, what it collects, what was filled in after a gap, and how long its
// certificate lasts.
interface Agent {
  target: Target;
  version: string;
  collectors: { name: string; ok: boolean; seconds: number }[];
  filled: number | null;
  missed: number | null;
  snapshots: number | null;
  expiry: number | null;
}

type Sample = { metric: Record<string, string>; value: number };

async function ask(expr: string, signal: AbortSignal): Promise<Sample[]> {
  try {
    const { data } = await query(expr, Date.now() / 1000, signal);
    return data.resultType === 'vector' ? data.result.map((s) => ({ metric: s.metric, value: number(s.value?.[1] ?? 'NaN') })) : [];
  } catch {
    return [];
  }
}

const keyOf = (labels: Record<string, string>): string => `${labels.job}\n${labels.instance}`;

async function load(signal: AbortSignal): Promise<Agent[]> {
  const [targets, build, success, took, filled, missed, ring, expiry] = await Promise.all([
    get<{ activeTargets: Target[] }>('targets', { state: 'active' }, signal).then((a) => a.data.activeTargets),
    ask('{__name__=~"vedette_agent_build_info|vedette_build_info|node_exporter_build_info"}', signal),
    ask('node_scrape_collector_success', signal),
    ask('node_scrape_collector_duration_seconds', signal),
    ask('increase(vedette_target_backfilled_rows_total[24h])', signal),
    ask('increase(vedette_target_scrapes_missed_total[24h])', signal),
    ask('vedette_agent_ring_snapshots', signal),
    ask('{__name__=~"vedette_agent_certificate_expiry_timestamp_seconds|vedette_target_certificate_expiry_timestamp_seconds"}', signal),
  ]);
  const nodes = new Set([...success, ...ring].map((s) => keyOf(s.metric)));
  const one = (list: Sample[], t: Target): number | null => {
    const hit = list.find((s) => keyOf(s.metric) === keyOf(t.labels)) ?? list.find((s) => s.metric.target === t.labels.instance || s.metric.target === t.scrapeUrl || (s.metric.scrape_job === t.labels.job && s.metric.target_instance === t.labels.instance));
    return hit ? hit.value : null;
  };
  return targets
    .filter((t) => t.scrapeUrl.startsWith('grpc') || nodes.has(keyOf(t.labels)))
    .map((t): Agent => {
      const seconds = new Map(took.filter((s) => keyOf(s.metric) === keyOf(t.labels)).map((s) => [s.metric.collector, s.value]));
      return {
        target: t,
        version: build.find((s) => keyOf(s.metric) === keyOf(t.labels))?.metric.version ?? '',
        collectors: success.filter((s) => keyOf(s.metric) === keyOf(t.labels)).map((s) => ({ name: s.metric.collector ?? '', ok: s.value === 1, seconds: seconds.get(s.metric.collector) ?? NaN })).sort((a, b) => Number(a.ok) - Number(b.ok) || a.name.localeCompare(b.name)),
        filled: one(filled, t),
        missed: one(missed, t),
        snapshots: one(ring, t),
        expiry: one(expiry, t),
      };
    })
    .sort((a, b) => (a.target.health === b.target.health ? a.target.labels.instance.localeCompare(b.target.labels.instance) : a.target.health === 'down' ? -1 : 1));
}

const HEALTH: Record<string, Tone> = { up: 'ok', down: 'bad', unknown: 'unknown' };

function Days({ until, now }: { until: number | null; now: number }) {
  if (until === null) return <span class="faint">–</span>;
  const days = (until - now) / 86_400;
  return <Badge tone={days < 3 ? 'bad' : days < 14 ? 'warn' : 'ok'}>{days < 0 ? 'expired' : days < 2 ? `${Math.max(0, days * 24).toFixed(0)} h` : `${days.toFixed(0)} days`}</Badge>;
}

function Row({ agent, now }: { agent: Agent; now: number }) {
  const [open, setOpen] = useState(false);
  const { target, collectors } = agent;
  const failed = collectors.filter((c) => !c.ok).length;
  return (
    <>
      <tr data-agent={target.labels.instance} data-health={target.health}>
        <td><Badge tone={HEALTH[target.health]}>{target.health}</Badge></td>
        <td>
          <a class="mono" href={href(`/d/vedette-host?var-instance=${encodeURIComponent(target.labels.instance)}`)}>{target.labels.instance}</a> <span class="faint">{target.labels.job}</span>
          {target.lastError && <div class="bad-text wrap">{target.lastError}</div>}
        </td>
        <td class="mono">{agent.version || <span class="faint">–</span>}</td>
        <td>
          <button type="button" class="quiet expand" aria-expanded={open} disabled={collectors.length === 0} onClick={() => setOpen(!open)}>
            <Icon name={open ? 'down' : 'right'} size={13} /> {collectors.length - failed} of {collectors.length}
          </button>
          {failed > 0 && <Badge tone="warn">{failed} failed</Badge>}
        </td>
        <td class="num" title="Snapshots that the agent kept during gaps and the server fetched, in 24 hours">{agent.filled === null ? '–' : thousands(Math.round(agent.filled))}</td>
        <td class="num">{agent.missed === null ? '–' : thousands(Math.round(agent.missed))}</td>
        <td class="num">{agent.snapshots === null ? '–' : thousands(agent.snapshots)}</td>
        <td class="num"><Days until={agent.expiry} now={now} /></td>
        <td class="num dim nowrap">{ago(Date.parse(target.lastScrape) / 1000, now)}</td>
      </tr>
      {open && (
        <tr>
          <td />
          <td colSpan={8}>
            <div class="collectors">
              {collectors.map((c) => (
                <span key={c.name} class={c.ok ? 'collector' : 'collector bad'}>
                  <Icon name={c.ok ? 'check' : 'bad'} size={11} /> {c.name} <small>{Number.isFinite(c.seconds) ? `${(c.seconds * 1000).toFixed(1)} ms` : ''}</small>
                </span>
              ))}
            </div>
          </td>
        </tr>
      )}
    </>
  );
}

export function Agents() {
  const state = useLoad(load, [], 15);
  const search = params.value.get('search') ?? '';
  return (
    <Page name="agents" title="Agents" aside={<Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter agents" />}>
      <SubNav of="targets" />
      <Loaded load={state}>
        {(all) => {
          const now = Date.now() / 1000;
          const words = search.toLowerCase().split(/\s+/).filter(Boolean);
          const found = all.filter((a) => words.every((w) => `${Object.values(a.target.labels).join(' ')} ${a.version} ${a.target.health}`.toLowerCase().includes(w)));
          if (all.length === 0) {
            return (
              <div class="card empty">
                <h2>No agents yet</h2>
                <p>
                  Start <code>vedette-agent</code> on a node and name it under <code>scrape_configs</code> with <code>scheme: grpc</code>.
                </p>
              </div>
            );
          }
          return (
            <section class="card table-scroll">
              <table>
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Node</th>
                    <th scope="col">Version</th>
                    <th scope="col">Collectors</th>
                    <th scope="col" class="num">Gaps filled, 24 h</th>
                    <th scope="col" class="num">Missed, 24 h</th>
                    <th scope="col" class="num">Kept there</th>
                    <th scope="col" class="num">Certificate</th>
                    <th scope="col" class="num">Last pull</th>
                  </tr>
                </thead>
                <tbody>
                  {found.slice(0, 1000).map((a) => <Row key={a.target.scrapePool + a.target.scrapeUrl} agent={a} now={now} />)}
                </tbody>
              </table>
              {found.length === 0 && <div class="empty">No agent fits this filter.</div>}
              {found.length > 1000 && <p class="faint pad">+{found.length - 1000} more: type to narrow</p>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
