import { useState } from 'preact/hooks';
import { ApiError, ask, get } from '../api/client';
import { mayChange } from '../app/access';
import { href } from '../app/router';
import { about } from '../format/time';
import { bytes, thousands } from '../format/value';
import { Badge, Failure, Loaded, useLoad } from '../ui/parts';

interface Running {
  id: number;
  query: string;
  origin: string;
  state: 'waiting' | 'running';
  seconds: number;
  start: number;
  end: number;
  step: number;
  series: number;
  samplesRead: number;
  heldBytes: number;
}

// What the server is asked right now, the longest first, with a way to end it.
export function Queries() {
  const [error, setError] = useState<ApiError | null>(null);
  const load = useLoad(
    async (signal): Promise<Running[] | null> => {
      try {
        const { data } = await get<Running[] | { queries: Running[] }>('queries', {}, signal);
        return (Array.isArray(data) ? data : (data.queries ?? [])).sort((a, b) => b.seconds - a.seconds);
      } catch (e) {
        if (e instanceof ApiError && e.status === 404) return null;
        throw e;
      }
    },
    [],
    2,
  );
  const kill = (id: number): void => void ask(`queries/${id}/kill`, { method: 'POST' }).then(load.again, (e) => (setError(e as ApiError), load.again()));
  return (
    <>
      {error && <Failure error={error} />}
      <Loaded load={load}>
        {(all) =>
          all === null ? (
            <div class="card empty">This server does not say what it is asked.</div>
          ) : all.length === 0 ? (
            <div class="card empty" data-queries="0">
              <h2>No query runs</h2>
              <p>What takes longer than a moment appears here while it runs.</p>
            </div>
          ) : (
            <section class="card table-scroll" data-queries={all.length}>
              <table>
                <thead>
                  <tr>
                    <th scope="col">State</th>
                    <th scope="col">Query</th>
                    <th scope="col">From</th>
                    <th scope="col" class="num">For</th>
                    <th scope="col" class="num">Series</th>
                    <th scope="col" class="num">Samples</th>
                    <th scope="col" class="num">Memory</th>
                    <th scope="col" />
                  </tr>
                </thead>
                <tbody>
                  {all.map((q) => (
                    <tr key={q.id} data-query={q.id}>
                      <td><Badge tone={q.state === 'running' ? 'accent' : 'unknown'}>{q.state}</Badge></td>
                      <td class="mono wrap"><a href={href(`/query?g0.expr=${encodeURIComponent(q.query)}&g0.tab=explain`)}>{q.query}</a></td>
                      <td class="dim">{q.origin}</td>
                      <td class="num">{about(q.seconds)}</td>
                      <td class="num">{thousands(q.series)}</td>
                      <td class="num">{thousands(q.samplesRead)}</td>
                      <td class="num">{bytes(q.heldBytes)}</td>
                      <td class="num">{mayChange() && <button type="button" class="danger" data-kill onClick={() => kill(q.id)}>End</button>}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </section>
          )
        }
      </Loaded>
    </>
  );
}
