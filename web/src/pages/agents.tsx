import { useState } from 'preact/hooks';
import { get, query } from '../api/client';
import { href, params, setParams } from '../app/router';
import { about, ago } from '../format/time';
import { number, thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { Badge, Filter, Loaded, Page, useLoad, type Tone } from '../ui/parts';
import { SubNav } from './subnav';
import type { Target } from './targets';

// The nodes: which version runs there, what it collects, what was filled in after a gap, and how long its
// certificate lasts.
interface Collector {
  name: string;
  state: 'ok' | 'failed' | 'nothing';
  seconds: number;
}
interface Agent {
  target: Target;
  version: string;
  collectors: Collector[];
  filled: number | null;
  lastFilled: number;
  kept: number | null;
  dropped: number | null;
  samples: number | null;
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

function byTarget(list: Sample[]): Map<string, Sample[]> {
  const out = new Map<string, Sample[]>();
  for (const s of list) {
    const key = keyOf(s.metric);
    const known = out.get(key);
    if (known) known.push(s);
    else out.set(key, [s]);
  }
  return out;
}

// A collector that has nothing to say on a node (no such hardware) is no failure: the agent reports no
// success of its own for it, and node_exporter's name says 0.
function collectorsOf(own: Sample[], node: Sample[], took: Sample[]): Collector[] {
  const seconds = new Map(took.map((s) => [s.metric.collector, s.value]));
  const states = new Map<string, Collector['state']>();
  for (const s of node) states.set(s.metric.collector, s.value === 1 ? 'ok' : own.length > 0 ? 'nothing' : 'failed');
  for (const s of own) states.set(s.metric.collector, s.value === 1 ? 'ok' : 'failed');
  const rank = { failed: 0, ok: 1, nothing: 2 };
  return [...states]
    .map(([name, state]): Collector => ({ name, state, seconds: seconds.get(name) ?? NaN }))
    .sort((a, b) => rank[a.state] - rank[b.state] || a.name.localeCompare(b.name));
}

async function load(signal: AbortSignal): Promise<Agent[]> {
  const [targets, ...answers] = await Promise.all([
    get<{ activeTargets: Target[] }>('targets', { state: 'active', discovered: 'false' }, signal).then((a) => a.data.activeTargets),
    ask('{__name__=~"vedette_agent_build_info|node_exporter_build_info"}', signal),
    ask('vedette_collector_success', signal),
    ask('node_scrape_collector_success', signal),
    ask('{__name__=~"vedette_collector_duration_seconds|node_scrape_collector_duration_seconds"}', signal),
    ask('vedette_agent_ring_snapshots', signal),
    ask('increase(vedette_agent_ring_dropped_total[24h])', signal),
    ask('scrape_samples_scraped', signal),
    ask('vedette_agent_certificate_expiry_timestamp_seconds', signal),
  ]);
  const [build, own, node, took, kept, dropped, samples, expiry] = answers.map(byTarget);
  const first = (list: Map<string, Sample[]>, t: Target): number | null => list.get(keyOf(t.labels))?.[0]?.value ?? null;
  return targets
    .filter((t) => t.scrapeUrl.startsWith('grpc') || node.has(keyOf(t.labels)))
    .map((t): Agent => {
      const key = keyOf(t.labels);
      return {
        target: t,
        version: build.get(key)?.[0]?.metric.version ?? '',
        collectors: collectorsOf(own.get(key) ?? [], node.get(key) ?? [], took.get(key) ?? []),
        filled: t.snapshotsFilled ?? null,
        lastFilled: t.lastFilled ? Date.parse(t.lastFilled) / 1000 : 0,
        kept: first(kept, t),
        dropped: first(dropped, t),
        samples: first(samples, t),
        expiry: first(expiry, t),
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
  const failed = collectors.filter((c) => c.state === 'failed').length;
  const working = collectors.filter((c) => c.state === 'ok').length;
  const sources = target.sources ?? [];
  return (
    <>
      <tr data-agent={target.labels.instance} data-health={target.health}>
        <td><Badge tone={HEALTH[target.health]}>{target.health}</Badge></td>
        <td>
          <a class="mono" href={href(`/d/vedette-host?var-instance=${encodeURIComponent(target.labels.instance)}`)}>{target.labels.instance}</a> <span class="faint">{target.labels.job}</span>
          {target.lastError && <div class="bad-text wrap">{target.lastError}</div>}
        </td>
        <td class="mono">{agent.version || <span class="faint">–</span>}</td>
        <td class="nowrap">
          <button type="button" class="quiet expand" aria-expanded={open} aria-label={`Collectors of ${target.labels.instance}`} disabled={collectors.length === 0} onClick={() => setOpen(!open)}>
            <Icon name={open ? 'down' : 'right'} size={13} /> {working} work
          </button>
          {failed > 0 && <Badge tone="bad">{failed} failed</Badge>}
        </td>
        <td class="nowrap">
          {sources.length === 0 ? <span class="faint">–</span> : sources.map((s) => (
            <span class={s.up ? 'source' : 'source bad-text'} key={s.name} title={s.error || `${s.name}: ${about(s.durationSeconds)}`}>
              <Icon name={s.up ? 'check' : 'bad'} size={11} /> {s.name}
            </span>
          ))}
        </td>
        <td class="num">{agent.samples === null ? '–' : thousands(agent.samples)}</td>
        <td class="num nowrap" title="Snapshots that the agent took while the server was away, and the server fetched later, since it started">
          {agent.filled === null ? '–' : thousands(agent.filled)}
          {agent.lastFilled > 0 && <div class="faint">{ago(agent.lastFilled, now)}</div>}
        </td>
        <td class="num nowrap" title="Snapshots that wait there now; what no longer fitted within a day">
          {agent.kept === null ? '–' : thousands(agent.kept)}
          {(agent.dropped ?? 0) > 0.5 && <div class="bad-text">{thousands(Math.round(agent.dropped!))} lost</div>}
        </td>
        <td class="num"><Days until={agent.expiry} now={now} /></td>
        <td class="num dim nowrap">{ago(Date.parse(target.lastScrape) / 1000, now)} · {about(target.lastScrapeDuration)}</td>
      </tr>
      {open && (
        <tr>
          <td />
          <td colSpan={9}>
            <div class="collectors">
              {collectors.map((c) => (
                <span key={c.name} class={`collector ${c.state}`} title={c.state === 'nothing' ? 'This node has nothing of the kind.' : undefined}>
                  <Icon name={c.state === 'ok' ? 'check' : c.state === 'failed' ? 'bad' : 'unknown'} size={11} /> {c.name} <small>{c.state === 'nothing' ? 'not here' : Number.isFinite(c.seconds) ? about(c.seconds) : ''}</small>
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
            <section class="card table-scroll agents">
              <table>
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Node</th>
                    <th scope="col">Version</th>
                    <th scope="col">Collectors</th>
                    <th scope="col">Sources</th>
                    <th scope="col" class="num">Samples</th>
                    <th scope="col" class="num">Gaps filled</th>
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
