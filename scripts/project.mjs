import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder, whatever the current directory is. */
export const projectDir = dirname(dirname(fileURLToPath(import.meta.url)));

/** Everything private to this checkout: stores' data, locks, templates. Ignored by git. */
export const privateDir = join(projectDir, '.recoup');
