// A private MariaDB (or MySQL), durable, on 127.0.0.1 only.
//
// Initialising a data folder takes a second or more, so it is done once a version: into a folder of
// another name, renamed when complete, so that a half-made one is never used. Runs start from a copy.

import { createHash, randomBytes } from 'node:crypto';
import {
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SetupProblem, say } from './notice.mjs';
import { isAbandoned, quietly, runToEnd } from './processes.mjs';
import { privateDir } from './project.mjs';
import { addToOwner, createRunFolder } from './run-folder.mjs';
import { startServer } from './server.mjs';

const initialiseDeadlineMs = 2 * 60_000;
/** Counted up when the content of the template changes. */
const templateFormat = 1;
/** Kernel limit for the path of a unix socket, with room for its closing zero. */
const socketPathMax = 106;

/** @returns {Promise<{url: string, migrationUrl: string, port: number, pid: number}>} */
export async function startDatabase(file, runDir, { folder = runDir, choosePort } = {}) {
  const { output: version } = await runToEnd(file, ['--no-defaults', '--version'], {
    capture: true,
    deadlineMs: 20_000,
  });
  const isMariadb = /mariadb/i.test(version);
  const key = createHash('sha256')
    .update(`${templateFormat} ${version}`)
    .digest('hex')
    .slice(0, 12);
  const template = join(privateDir, `template-${key}`);
  await ensureTemplate(file, template, isMariadb);
  try {
    return await startFromTemplate({ file, runDir, folder, template, isMariadb, choosePort });
  } catch (problem) {
    if (isAbandoned()) throw problem;
    // The template may have been damaged since it was made; a fresh one is the only other guess.
    say(`${problem.message.split('\n')[0]}; making a new template and trying once more`);
    rmSync(template, { recursive: true, force: true });
    await ensureTemplate(file, template, isMariadb);
    return startFromTemplate({ file, runDir, folder, template, isMariadb, choosePort });
  }
}

async function startFromTemplate({ file, runDir, folder, template, isMariadb, choosePort }) {
  const dataDir = join(folder, 'database');
  const socketDir = makeSocketDir();
  addToOwner(runDir, 'socketDirs', [socketDir]);
  const owner = { name: 'recoup_owner', password: randomBytes(18).toString('hex') };
  const app = { name: 'recoup_app', password: randomBytes(18).toString('hex') };
  const initFile = join(folder, 'users.sql');
  writeFileSync(initFile, usersSql(owner, app, isMariadb), { mode: 0o600 });
  try {
    const logFile = join(folder, 'database.log');
    const { port, pid } = await startServer(
      {
        name: isMariadb ? 'mariadbd' : 'mysqld',
        file,
        runDir,
        cwd: dataDir,
        logFile,
        readyPattern: /ready for connections/,
        prepare: () => {
          rmSync(dataDir, { recursive: true, force: true });
          cpSync(template, dataDir, { recursive: true, mode: constants.COPYFILE_FICLONE });
        },
        argsFor: (freePort) => [
          ...commonArgs(dataDir),
          ...serverArgs(folder, freePort, join(socketDir, 'db.sock')),
          `--init-file=${initFile}`,
          ...(isMariadb ? [] : ['--mysqlx=OFF', '--performance-schema=OFF']),
        ],
      },
      choosePort,
    );
    const errors = readFileSync(logFile, 'utf8')
      .split('\n')
      .filter((line) => line.includes('[ERROR]'));
    if (errors.length > 0)
      throw new SetupProblem(`the database started with errors:\n${errors.join('\n')}`);
    const urlFor = ({ name, password }) => `mysql://${name}:${password}@127.0.0.1:${port}/recoup`;
    return { url: urlFor(app), migrationUrl: urlFor(owner), port, pid, cmdlineIncludes: dataDir };
  } finally {
    rmSync(initFile, { force: true });
  }
}

async function ensureTemplate(file, template, isMariadb) {
  if (existsSync(template)) return;
  say(`initialising a data folder for ${isMariadb ? 'MariaDB' : 'MySQL'} (once)`);
  const folder = createRunFolder('making');
  const dataDir = join(folder, 'database');
  mkdirSync(dataDir);
  await (isMariadb ? initialiseMariadb(file, dataDir) : initialiseMysql(file, dataDir));
  try {
    renameSync(dataDir, template);
  } catch (error) {
    // Another run made the same template at the same time; one is as good as the other.
    if (!existsSync(template)) throw error;
  }
  rmSync(folder, { recursive: true, force: true });
}

/**
 * What `mariadb-install-db` does, without the script: it needs `my_print_defaults`, which Debian ships
 * in a package of client programs, while the server and its SQL files are in mariadb-server-core.
 */
async function initialiseMariadb(file, dataDir) {
  const folders = [
    '/usr/share/mysql',
    '/usr/share/mariadb',
    join(file, '../../share/mysql'),
    join(file, '../../share/mariadb'),
  ];
  const share = folders.find((folder) => existsSync(join(folder, 'mysql_system_tables.sql')));
  if (share === undefined)
    throw new SetupProblem(
      `cannot find MariaDB's mysql_system_tables.sql in ${folders.join(', ')}`,
    );
  const parts = ['mysql_system_tables', 'mysql_performance_tables', 'mysql_system_tables_data'];
  const optional = ['maria_add_gis_sp_bootstrap', 'mysql_sys_schema'];
  const input = [
    'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n',
    ...parts.map((name) => readFileSync(join(share, `${name}.sql`), 'utf8')),
    ...optional.map(
      (name) => quietly(() => readFileSync(join(share, `${name}.sql`), 'utf8')) ?? '',
    ),
    // No root without a password, no anonymous user that would come before ours.
    `DELETE FROM mysql.global_priv WHERE User IN ('', 'root');\nDELETE FROM mysql.proxies_priv;\n`,
  ].join('\n');
  const args = [
    ...commonArgs(dataDir),
    '--bootstrap',
    '--log-warnings=0',
    '--enforce-storage-engine=',
    '--max-allowed-packet=8M',
  ];
  await initialise(file, args, input);
}

async function initialiseMysql(file, dataDir) {
  await initialise(file, [...commonArgs(dataDir), '--initialize-insecure']);
}

async function initialise(file, args, input) {
  const { code, output, timedOut } = await runToEnd(file, args, {
    deadlineMs: initialiseDeadlineMs,
    capture: true,
    input,
  });
  if (code === 0) return;
  const why = timedOut ? 'did not end' : `ended with code ${code}`;
  throw new SetupProblem(
    `initialising the database ${why}:\n${output.trim().split('\n').slice(-15).join('\n')}`,
  );
}

function commonArgs(dataDir) {
  // A starting server removes the temporary tables it finds, so none may share a folder for them.
  const temporaryDir = `${dataDir}-tmp`;
  mkdirSync(temporaryDir, { recursive: true });
  return [
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--datadir=${dataDir}`,
    `--tmpdir=${temporaryDir}`,
    '--skip-log-bin',
    '--character-set-server=utf8mb4',
    '--collation-server=utf8mb4_bin',
  ];
}

function serverArgs(folder, port, socket) {
  return [
    '--bind-address=127.0.0.1',
    `--port=${port}`,
    `--socket=${socket}`,
    `--pid-file=${join(folder, 'database.pid')}`,
    '--skip-name-resolve',
    `--default-time-zone=+00:00`,
    // Durable as in production, or the tests of durability would prove nothing.
    '--innodb-flush-log-at-trx-commit=1',
    '--innodb-buffer-pool-size=256M',
    '--max-connections=300',
    '--max-allowed-packet=64M',
  ];
}

/** The owner migrates; the application gets its rights, table by table, from the migrations. */
function usersSql(owner, app, isMariadb) {
  return [
    'CREATE DATABASE recoup CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;',
    `CREATE USER '${owner.name}'@'%' IDENTIFIED BY '${owner.password}';`,
    `GRANT ALL PRIVILEGES ON *.* TO '${owner.name}'@'%' WITH GRANT OPTION;`,
    `CREATE USER '${app.name}'@'%' IDENTIFIED BY '${app.password}';`,
    ...(isMariadb ? [] : [`ALTER USER 'root'@'localhost' IDENTIFIED BY '${owner.password}';`]),
    '',
  ].join('\n');
}

function makeSocketDir() {
  const parent = [tmpdir(), '/tmp'].find(
    (folder) => `${folder}/recoup-XXXXXX/db.sock`.length <= socketPathMax,
  );
  return mkdtempSync(join(parent ?? '/tmp', 'recoup-'));
}
