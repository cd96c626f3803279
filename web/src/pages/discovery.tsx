import { get } from '../api/client';
import { params, setParams } from '../app/router';
import { narrow } from '../app/settings';
import { useEffect, useState } from 'preact/hooks';
import { Badge, Dialog, Filter, Labels, Loaded, Page, useLoad, Virtual } from '../ui/parts';
import { SubNav } from './subnav';
import type { Target } from './targets';

interface Step {
  rule: { source_labels?: string[]; separator?: string; regex?: string; modulus?: number; target_label?: string; replacement?: string; action: string };
  output: Record<string, string>;
  keep: boolean;
}

// Rule by rule: what relabelling did to the labels of one discovered target.
function Steps({ row, onClose }: { row: Row; onClose: () => void }) {
  const load = useLoad((signal) => get<{ steps: Step[] }>('targets/relabel_steps', { scrapePool: row.pool, labels: JSON.stringify(row.discovered) }, signal).then((a) => a.data.steps ?? []), []);
  return (
    <Dialog title={`Relabelling in ${row.pool}`} onClose={onClose} wide>
      <Loaded load={load}>
        {(steps) => (
          <ol class="relabel-steps" data-relabel-steps={steps.length}>
            {steps.length === 0 && <li>No rule: the target is as it was discovered.</li>}
            {steps.map((s, i) => {
              const before = i === 0 ? row.discovered : steps[i - 1].output;
              const changed = Object.entries(s.output ?? {}).filter(([k, v]) => before[k] !== v);
              const gone = Object.keys(before).filter((k) => s.keep && !(k in (s.output ?? {})));
              return (
                <li key={i} data-keep={s.keep}>
                  <b>{s.rule.action}</b> <code>{(s.rule.source_labels ?? []).join(s.rule.separator ?? ';')}</code>
                  {s.rule.regex && <> matching <code>{s.rule.regex}</code></>}
                  {s.rule.target_label && <> → <code>{s.rule.target_label}</code> = <code>{s.rule.replacement}</code></>}
                  <div>
                    {!s.keep && <Badge tone="warn">dropped here</Badge>}
                    {changed.length > 0 && <Labels labels={Object.fromEntries(changed)} />}
                    {gone.length > 0 && <span class="faint">without {gone.join(', ')}</span>}
                    {s.keep && changed.length === 0 && gone.length === 0 && <span class="faint">no change</span>}
                  </div>
                </li>
              );
            })}
          </ol>
        )}
      </Loaded>
    </Dialog>
  );
}

const reasons = new Map<string, string>();

// Which rule dropped a target; asked only for those in sight, and once.
function Reason({ row }: { row: Row }) {
  const key = row.pool + JSON.stringify(row.discovered);
  const [text, setText] = useState(reasons.get(key) ?? '');
  useEffect(() => {
    if (reasons.has(key)) return setText(reasons.get(key)!);
    const abort = new AbortController();
    get<{ steps: Step[] }>('targets/relabel_steps', { scrapePool: row.pool, labels: JSON.stringify(row.discovered) }, abort.signal).then(
      ({ data }) => {
        const at = (data.steps ?? []).findIndex((s) => !s.keep);
        const rule = data.steps?.[at]?.rule;
        const from = (rule?.source_labels ?? []).join(rule?.separator ?? ';');
        const why = !rule ? 'no rule drops it: it has no address, or another pool has the same target' : `rule ${at + 1}: ${rule.action} ${from}${rule.regex ? ` =~ ${rule.regex}` : ''}${rule.target_label ? ` ${rule.target_label}` : ''}`;
        if (reasons.size > 5000) reasons.clear();
        reasons.set(key, why);
        setText(why);
      },
      () => undefined,
    );
    return () => abort.abort();
  }, [key]);
  return (
    <span class="drop-reason" data-drop-reason={text}>
      <Badge tone="warn">dropped by relabelling</Badge>
      <span class="mono dim wrap">{text}</span>
    </span>
  );
}

interface Row {
  pool: string;
  discovered: Record<string, string>;
  labels: Record<string, string> | null;
}

// What was found, and what relabelling made of it.
export function Discovery() {
  const load = useLoad(async (signal): Promise<Row[]> => {
    const { data } = await get<{ activeTargets: Target[]; droppedTargets: { discoveredLabels: Record<string, string>; scrapePool?: string }[] }>('targets', {}, signal);
    return [
      ...data.activeTargets.map((t) => ({ pool: t.scrapePool, discovered: t.discoveredLabels, labels: t.labels })),
      ...(data.droppedTargets ?? []).map((t) => ({ pool: t.scrapePool ?? t.discoveredLabels.job ?? '', discovered: t.discoveredLabels, labels: null })),
    ].sort((a, b) => a.pool.localeCompare(b.pool) || Number(b.labels === null) - Number(a.labels === null));
  }, [], 15);
  const search = params.value.get('search') ?? '';
  const [steps, setSteps] = useState<Row | null>(null);
  return (
    <Page name="service-discovery" title="Service discovery" aside={<Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter by label" />}>
      <SubNav of="targets" />
      <Loaded load={load}>
        {(rows) => {
          const words = search.toLowerCase().split(/\s+/).filter(Boolean);
          const found = rows.filter((r) => {
            const text = (r.pool + JSON.stringify(r.discovered) + JSON.stringify(r.labels)).toLowerCase();
            return words.every((w) => text.includes(w));
          });
          return (
            <section class="card">
              <div class="card-head dim">
                {rows.filter((r) => r.labels).length} kept · {rows.filter((r) => !r.labels).length} dropped
              </div>
              <div class="sd-row head" aria-hidden="true">
                <span>Pool</span>
                <span>Discovered labels</span>
                <span>Target labels</span>
              </div>
              <Virtual count={found.length} rowHeight={narrow.value ? 172 : 64}>
                {(i) => (
                  <div class="sd-row" key={i} data-dropped={found[i].labels === null}>
                    <span class="sd-pool">
                      <span class="clip" title={found[i].pool}>{found[i].pool}</span>
                      <button type="button" class="link" data-steps onClick={() => setSteps(found[i])}>
                        relabel steps
                      </button>
                    </span>
                    <span class="sd-labels">
                      <Labels labels={found[i].discovered} />
                    </span>
                    <span class="sd-labels">
                      {found[i].labels ? <Labels labels={found[i].labels!} /> : <Reason row={found[i]} />}
                    </span>
                  </div>
                )}
              </Virtual>
              {found.length === 0 && <div class="empty">Nothing was discovered that fits.</div>}
            </section>
          );
        }}
      </Loaded>
      {steps && <Steps row={steps} onClose={() => setSteps(null)} />}
    </Page>
  );
}
