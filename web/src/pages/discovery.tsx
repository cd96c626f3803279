import { get } from '../api/client';
import { params, setParams } from '../app/router';
import { Badge, Filter, Labels, Loaded, Page, useLoad, Virtual } from '../ui/parts';
import { SubNav } from './subnav';
import type { Target } from './targets';

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
              <Virtual count={found.length} rowHeight={92}>
                {(i) => (
                  <div class="sd-row" key={i} data-dropped={found[i].labels === null}>
                    <span class="clip">{found[i].pool}</span>
                    <span class="sd-labels">
                      <Labels labels={found[i].discovered} />
                    </span>
                    <span class="sd-labels">
                      {found[i].labels ? <Labels labels={found[i].labels!} /> : <Badge tone="warn">dropped by relabelling</Badge>}
                    </span>
                  </div>
                )}
              </Virtual>
              {found.length === 0 && <div class="empty">Nothing was discovered that fits.</div>}
            </section>
          );
        }}
      </Loaded>
    </Page>
  );
}
