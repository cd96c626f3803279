import type { ComponentChildren } from 'preact';
import { get } from '../api/client';
import { href, params, path, setParams } from '../app/router';
import { settings } from '../app/settings';
import { ago, stamp } from '../format/time';
import { bytes, thousands } from '../format/value';
import { Icon } from '../ui/icons';
import { Badge, Filter, Loaded, Page, useLoad } from '../ui/parts';
import { CostExplorer } from './cost';
import { Queries } from './queries';
import { SubNav } from './subnav';

function Facts({ title, rows }: { title: string; rows: [string, ComponentChildren][] }) {
  return (
    <section class="card">
      <div class="card-head">
        <h2>{title}</h2>
      </div>
      <table class="keyed">
        <tbody>
          {rows.map(([name, value]) => (
            <tr key={name}>
              <td>{name}</td>
              <td class="wrap">{value}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

interface Runtime {
  startTime: string;
  CWD: string;
  reloadConfigSuccess: boolean;
  lastConfigTime: string;
  corruptionCount: number;
  goroutineCount: number;
  storageRetention: string;
  hostname?: string;
}

function RuntimePage() {
  const load = useLoad(
    async (signal) => {
      const [runtime, build] = await Promise.all([get<Runtime>('status/runtimeinfo', {}, signal), get<Record<string, string>>('status/buildinfo', {}, signal)]);
      return { runtime: runtime.data, build: build.data };
    },
    [],
    15,
  );
  const when = (text: string): string => `${stamp(Date.parse(text) / 1000, settings.value.timezone === 'utc')} (${ago(Date.parse(text) / 1000, Date.now() / 1000)})`;
  return (
    <Loaded load={load}>
      {({ runtime, build }) => (
        <div class="cols">
          <Facts
            title="Runtime"
            rows={[
              ['Started', when(runtime.startTime)],
              ...(runtime.hostname ? [['Host', runtime.hostname] as [string, string]] : []),
              ['Working directory', <span class="mono">{runtime.CWD}</span>],
              [
                'Configuration',
                runtime.reloadConfigSuccess ? <Badge tone="ok">loaded</Badge> : <Badge tone="bad">last reload failed</Badge>,
              ],
              ['Loaded at', when(runtime.lastConfigTime)],
              ['WAL corruptions', runtime.corruptionCount > 0 ? <Badge tone="bad">{runtime.corruptionCount}</Badge> : '0'],
              ['Threads', runtime.goroutineCount],
              ['Retention', runtime.storageRetention],
            ]}
          />
          <Facts title="Build" rows={Object.entries(build).filter(([, v]) => v !== '').map(([k, v]) => [k, <span class="mono">{v}</span>])} />
        </div>
      )}
    </Loaded>
  );
}

interface Count {
  name: string;
  value: number;
}
interface Tsdb {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: Count[];
  labelValueCountByLabelName: Count[];
  memoryInBytesByLabelName: Count[];
  seriesCountByLabelValuePair: Count[];
  seriesCountByJob?: Count[];
  cost?: { diskBytes: number; headMemoryBytes: number; indexMemoryBytes: number };
  store?: Store;
}

// RocksDB below the storage.
interface Store {
  levels: { family: string; level: number; files: number; bytes: number }[];
  memtableBytes: number;
  pendingCompactionBytes: number;
  runningCompactions: number;
  runningFlushes: number;
  delayedWriteRate: number;
  writesStopped: boolean;
}

function Levels({ store }: { store: Store }) {
  const most = Math.max(1, ...store.levels.map((l) => l.bytes));
  const state = store.writesStopped ? <Badge tone="bad">writes are stopped</Badge> : store.delayedWriteRate > 0 ? <Badge tone="warn">writes are held to {bytes(store.delayedWriteRate)}/s</Badge> : <Badge tone="ok">writes are not held back</Badge>;
  return (
    <section class="card" data-levels>
      <div class="card-head">
        <h2>Levels in RocksDB</h2>
        {state}
        <span class="dim">
          {bytes(store.memtableBytes)} in memory tables · {bytes(store.pendingCompactionBytes)} to merge · {store.runningCompactions} merging, {store.runningFlushes} writing out
        </span>
      </div>
      <table class="bars">
        <thead>
          <tr>
            <th scope="col">Family</th>
            <th scope="col" class="num">Level</th>
            <th scope="col" class="num">Files</th>
            <th scope="col" class="num">Size</th>
          </tr>
        </thead>
        <tbody>
          {store.levels.map((l) => (
            <tr key={`${l.family}-${l.level}`} data-level={`${l.family}/${l.level}`}>
              <td class="mono">
                <i class="meter" style={{ width: `${(100 * l.bytes) / most}%` }} />
                <span>{l.family}</span>
              </td>
              <td class="num">{l.level}</td>
              <td class="num">{thousands(l.files)}</td>
              <td class="num">{bytes(l.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {store.levels.length === 0 && <div class="empty">Nothing has been written out yet: all of it is in memory and in the log.</div>}
    </section>
  );
}

function Top({ title, list, format, link }: { title: string; list: Count[]; format: (n: number) => string; link?: (name: string) => string }) {
  const most = Math.max(1, ...list.map((c) => c.value));
  return (
    <section class="card" data-top={title}>
      <div class="card-head">
        <h2>{title}</h2>
      </div>
      <table class="bars">
        <tbody>
          {list.map((c) => (
            <tr key={c.name}>
              <td class="mono">
                <i class="meter" style={{ width: `${(100 * c.value) / most}%` }} />
                {link ? <a href={link(c.name)}>{c.name}</a> : <span>{c.name}</span>}
              </td>
              <td class="num">{format(c.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {list.length === 0 && <div class="empty">Nothing yet.</div>}
    </section>
  );
}

function TsdbPage() {
  const load = useLoad((signal) => get<Tsdb>('status/tsdb', {}, signal).then((a) => a.data), [], 30);
  const ask = (expr: string): string => href(`/query?g0.expr=${encodeURIComponent(expr)}&g0.tab=table`);
  return (
    <Loaded load={load}>
      {(t) => (
        <>
          <div class="tiles">
            <Tile name="Series" value={thousands(t.headStats.numSeries)} />
            <Tile name="Chunks" value={thousands(t.headStats.chunkCount)} />
            <Tile name="Label pairs" value={thousands(t.headStats.numLabelPairs)} />
            {t.cost && <Tile name="On disk" value={bytes(t.cost.diskBytes)} />}
            {t.cost && <Tile name="Head in memory" value={bytes(t.cost.headMemoryBytes)} />}
            {t.cost && <Tile name="Index in memory" value={bytes(t.cost.indexMemoryBytes)} />}
            <Tile name="In memory since" value={ago(t.headStats.minTime / 1000, Date.now() / 1000)} small note={stamp(t.headStats.minTime / 1000, settings.value.timezone === 'utc')} />
          </div>
          <div class="cols">
            <Top title="Series by metric" list={t.seriesCountByMetricName} format={thousands} link={ask} />
            <Top title="Values by label" list={t.labelValueCountByLabelName} format={thousands} link={(label) => ask(`count by (${label}) ({${label}!=""})`)} />
            <Top title="Memory by label" list={t.memoryInBytesByLabelName} format={bytes} />
            <Top
              title="Series by label pair"
              list={t.seriesCountByLabelValuePair}
              format={thousands}
              link={(pair) => ask(`{${pair.replace(/=(.*)$/s, (_, v) => `=${JSON.stringify(v)}`)}}`)}
            />
            {t.seriesCountByJob && <Top title="Series by job" list={t.seriesCountByJob} format={thousands} link={(job) => ask(`{job=${JSON.stringify(job)}}`)} />}
          </div>
          {t.store && <Levels store={t.store} />}
          <CostExplorer />
        </>
      )}
    </Loaded>
  );
}

export function Tile({ name, value, small, tone, note }: { name: string; value: ComponentChildren; small?: boolean; tone?: string; note?: ComponentChildren }) {
  return (
    <div class={`tile ${tone ?? ''}`}>
      <span>{name}</span>
      <b class={small ? 'small' : ''}>{value}</b>
      {note && <small>{note}</small>}
    </div>
  );
}

function FlagsPage() {
  const load = useLoad((signal) => get<Record<string, string>>('status/flags', {}, signal).then((a) => a.data), []);
  const search = params.value.get('search') ?? '';
  return (
    <Loaded load={load}>
      {(flags) => (
        <section class="card">
          <div class="card-head">
            <Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter flags" />
          </div>
          <table class="keyed">
            <tbody>
              {Object.entries(flags)
                .filter(([k, v]) => `${k} ${v}`.toLowerCase().includes(search.toLowerCase()))
                .sort(([a], [b]) => (a < b ? -1 : 1))
                .map(([k, v]) => (
                  <tr key={k}>
                    <td class="mono">--{k}</td>
                    <td class="mono wrap">{v === '' ? <span class="faint">empty</span> : v}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        </section>
      )}
    </Loaded>
  );
}

function ConfigPage() {
  const load = useLoad((signal) => get<{ yaml: string }>('status/config', {}, signal).then((a) => a.data.yaml), []);
  return (
    <Loaded load={load}>
      {(yaml) => (
        <section class="card config">
          <button type="button" class="quiet" onClick={() => void navigator.clipboard?.writeText(yaml)}>
            <Icon name="download" size={14} /> Copy
          </button>
          <pre tabIndex={0}>
            {yaml.split('\n').map((line, i) => {
              const match = /^(\s*(?:- )?)([\w.-]+)(:)(.*)$/.exec(line);
              return (
                <span class="yaml-line" key={i}>
                  {match ? (
                    <>
                      {match[1]}
                      <i>{match[2]}</i>
                      {match[3]}
                      {match[4]}
                    </>
                  ) : (
                    line
                  )}
                  {'\n'}
                </span>
              );
            })}
          </pre>
        </section>
      )}
    </Loaded>
  );
}

function AlertmanagersPage() {
  const load = useLoad((signal) => get<{ activeAlertmanagers: { url: string }[]; droppedAlertmanagers: { url: string }[] }>('alertmanagers', {}, signal).then((a) => a.data), [], 15);
  return (
    <Loaded load={load}>
      {(a) => (
        <div class="cols">
          <Facts title="Alertmanagers in use" rows={(a.activeAlertmanagers ?? []).map((m) => [m.url, <Badge tone="ok">active</Badge>])} />
          <Facts title="Dropped" rows={(a.droppedAlertmanagers ?? []).map((m) => [m.url, <Badge tone="unknown">dropped</Badge>])} />
        </div>
      )}
    </Loaded>
  );
}

const VIEWS: Record<string, [string, () => ComponentChildren]> = {
  '/status': ['Status', () => <RuntimePage />],
  '/tsdb-status': ['Cardinality and storage', () => <TsdbPage />],
  '/queries': ['Running queries', () => <Queries />],
  '/flags': ['Flags', () => <FlagsPage />],
  '/config': ['Configuration', () => <ConfigPage />],
  '/alertmanager-discovery': ['Alertmanagers', () => <AlertmanagersPage />],
};

export function StatusPage() {
  const key = path.value.replace(/\/$/, '');
  const [title, view] = VIEWS[key] ?? VIEWS['/status'];
  return (
    <Page name={key.slice(1)} title={title}>
      <SubNav of="status" />
      {view()}
    </Page>
  );
}
