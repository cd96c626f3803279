import { signal } from '@preact/signals';
import { get } from '../api/client';

// What this reader may do. The server says the role of whoever asks among its features; where it says
// none, nobody is refused. A viewer sees no button that would be.
export const role = signal<string | null>(null);
export const mayChange = (): boolean => role.value !== 'viewer';

export async function learnRole(): Promise<void> {
  try {
    const { data } = await get<{ vedette?: { role?: string } }>('features');
    role.value = data.vedette?.role ?? null;
  } catch {
    // An older server, or none: the buttons stay, and a refusal says why.
  }
}
