import { useMemo, useState } from 'preact/hooks';
import { ApiError, plain } from '../api/client';
import { mayChange } from '../app/access';
import { href, params, setParams } from '../app/router';
import { Icon } from '../ui/icons';
import { Badge, Dialog, Failure, Filter, Loaded, Page, useLoad } from '../ui/parts';
import { missing } from '../pages/notifications';

interface Found {
  uid: string;
  title: string;
  tags: string[];
  folderTitle?: string;
}

function Remove({ board, done }: { board: Found; done: () => void }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const remove = (): void => void plain(`api/dashboards/uid/${encodeURIComponent(board.uid)}`, { method: 'DELETE' }).then(() => (setAsked(false), done()), (e) => setError(e as ApiError));
  return (
    <>
      <button type="button" class="quiet icon-button" data-delete={board.uid} aria-label={`Delete ${board.title}`} title="Delete" onClick={() => setAsked(true)}>
        <Icon name="close" size={14} />
      </button>
      {asked && (
        <Dialog title="Delete this dashboard?" onClose={() => setAsked(false)}>
          <p>
            The file of <b>{board.title}</b> is removed from the server's directory. Download its JSON first if you may want it back.
          </p>
          {error && <Failure error={error} />}
          <div class="line dialog-actions">
            <button type="button" onClick={() => setAsked(false)}>Keep it</button>
            <button type="button" class="danger" data-delete-now onClick={remove}>Delete</button>
          </div>
        </Dialog>
      )}
    </>
  );
}

// A file from Grafana, kept as it is.
function Upload({ done }: { done: () => void }) {
  const [error, setError] = useState<ApiError | null>(null);
  const send = async (files: FileList | null): Promise<void> => {
    setError(null);
    for (const file of files ?? []) {
      try {
        const text = await file.text();
        const whole = JSON.parse(text) as { dashboard?: unknown; panels?: unknown; rows?: unknown };
        // What Grafana's own API answers has the dashboard inside.
        const inner = whole.dashboard && !whole.panels && !whole.rows ? JSON.stringify(whole.dashboard) : text;
        await plain('api/dashboards/db', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"overwrite":true,"dashboard":${inner}}` });
      } catch (e) {
        setError(e instanceof ApiError ? e : new ApiError(`${file.name}: ${(e as Error).message}`, 0));
      }
    }
    done();
  };
  return (
    <>
      <label class="button upload">
        <Icon name="plus" size={14} /> Add file
        <input type="file" accept="application/json,.json" multiple data-upload onChange={(e) => void send(e.currentTarget.files)} />
      </label>
      {error && <Failure error={error} />}
    </>
  );
}

export function DashboardList() {
  const load = useLoad(async (signal): Promise<Found[]> => {
    try {
      return await plain<Found[]>('api/search?type=dash-db', { signal });
    } catch (e) {
      if (missing(e)) return [];
      throw e;
    }
  }, [], 30);
  const search = params.value.get('search') ?? '';
  const tag = params.value.get('tag') ?? '';
  const found = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/).filter(Boolean);
    return (load.data ?? []).filter((d) => (tag === '' || d.tags.includes(tag)) && words.every((w) => d.title.toLowerCase().includes(w)));
  }, [load.data, search, tag]);
  return (
    <Page name="dashboards" title="Dashboards" aside={<>{mayChange() && <Upload done={load.again} />}<Filter value={search} onInput={(v) => setParams({ search: v })} label="Filter dashboards" /></>}>
      <Loaded load={load}>
        {(all) =>
          all.length === 0 ? (
            <div class="card empty">
              <h2>No dashboards</h2>
              <p>
                Put Grafana's JSON files into a directory and name it with <code>--web.dashboards</code>; they are read as they are.
              </p>
            </div>
          ) : (
            <section class="card table-scroll">
              {tag !== '' && (
                <div class="card-head">
                  <button type="button" onClick={() => setParams({ tag: '' })}>
                    {tag} ×
                  </button>
                </div>
              )}
              <table>
                <tbody>
                  {found.map((d) => (
                    <tr key={d.uid}>
                      <td>
                        <a href={href(`/d/${encodeURIComponent(d.uid)}`)}>
                          <b>{d.title}</b>
                        </a>
                      </td>
                      <td>
                        {d.tags.map((t) => (
                          <button type="button" class="label" key={t} onClick={() => setParams({ tag: t })}>
                            {t}
                          </button>
                        ))}
                      </td>
                      <td class="num">
                        <a class="nowrap" data-plain download={`${d.uid}.json`} href={href(`/api/dashboards/uid/${encodeURIComponent(d.uid)}/raw`)}>
                          JSON
                        </a>
                      </td>
                      <td class="num">{d.folderTitle && <Badge tone="unknown" icon={false}>{d.folderTitle}</Badge>}</td>
                      {mayChange() && <td class="num narrow"><Remove board={d} done={load.again} /></td>}
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )
        }
      </Loaded>
    </Page>
  );
}
