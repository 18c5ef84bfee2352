// The set-up, tried on a copy of the project: kills, leftovers, second runs, damage, missing programs.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { programsWorkingIn, waitUntil, isAlive } from '../processes.mjs';
import { projectDir } from '../project.mjs';

const serverNames = ['mariadbd', 'mysqld', 'redis-server', 'redis-check-rdb'];
let copy;

before(() => {
  copy = mkdtempSync(join(tmpdir(), 'recoup-setup-'));
  cpSync(join(projectDir, 'scripts'), join(copy, 'scripts'), { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    cpSync(join(projectDir, file), join(copy, file));
  }
  symlinkSync(join(projectDir, 'node_modules'), join(copy, 'node_modules'));
  writeTsconfig();
  mkdirSync(join(copy, 'src'));
  writeFileSync(join(copy, 'src', 'a.ts'), 'export const a: number = 1;\n');
});

after(() => rmSync(copy, { recursive: true, force: true }));

afterEach(async () => {
  assert.ok(await waitUntil(() => servers().length === 0, 30_000), 'a server was left running');
  const left = leftovers();
  assert.deepEqual(left, [], 'a folder of a run was left');
});

test('gives the command both stores, its stdout alone, and its exit code', async () => {
  const { code, stdout, stderr } = await run([...fast, '--', 'sh', '-c', 'env; exit 3']);
  assert.equal(code, 3);
  assert.match(stdout, /^RECOUP_DATABASE_URL=mysql:\/\/recoup_app:\w+@127\.0\.0\.1:\d+\/recoup$/m);
  assert.match(
    stdout,
    /^RECOUP_MIGRATION_URL=mysql:\/\/recoup_owner:\w+@127\.0\.0\.1:\d+\/recoup$/m,
  );
  assert.match(stdout, /^RECOUP_REDIS_URL=redis:\/\/127\.0\.0\.1:\d+\/0$/m);
  assert.doesNotMatch(stdout, /recoup: /);
  assert.match(stderr, /initialising a data folder/);
});

test('makes no data folder anew once the template is there', async () => {
  await run([...fast, '--', 'true']);
  const { code, stderr } = await run([...fast, '--', 'true']);
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /initialising|making/);
});

test('reports a command that does not exist and one that dies by a signal', async () => {
  assert.equal((await run([...bare, '--', 'no-such-command'])).code, 127);
  assert.equal((await run([...bare, '--', 'sh', '-c', 'kill -9 $$'])).code, 137);
});

test('uses the stores that the environment names and starts only the other', async () => {
  const RECOUP_DATABASE_URL = 'mysql://a:b@127.0.0.1:1/c';
  const { stdout } = await run([...fast, '--', 'sh', '-c', 'env; ls $RECOUP_RUN_DIR'], {
    RECOUP_DATABASE_URL,
  });
  assert.match(stdout, new RegExp(`^RECOUP_DATABASE_URL=${RECOUP_DATABASE_URL}$`, 'm'));
  assert.doesNotMatch(stdout, /RECOUP_MIGRATION_URL|database\.log/);
  assert.match(stdout, /^RECOUP_REDIS_URL=redis:\/\/127\.0\.0\.1:\d+\/0$/m);
});

test('gives tests that run side by side a set of stores each, and leaves none behind', async () => {
  const { code, stdout } = await run([...fast, '--stores', '2', '--', 'sh', '-c', 'env']);
  assert.equal(code, 0);
  const sets = JSON.parse(/^RECOUP_TEST_STORES=(.*)$/m.exec(stdout)[1]);
  assert.equal(sets.length, 2);
  for (const name of ['RECOUP_DATABASE_URL', 'RECOUP_MIGRATION_URL', 'RECOUP_REDIS_URL']) {
    assert.notEqual(sets[0][name], sets[1][name]);
    assert.match(stdout, new RegExp(`^${name}=${sets[0][name]}$`, 'm'));
  }
});

test('stops everything on SIGINT and SIGTERM, and passes the signal to the command once', async () => {
  for (const [signal, expected] of [
    ['SIGINT', 7],
    ['SIGTERM', 143],
  ]) {
    const trap = `trap 'echo got; exit 7' INT; echo up; while :; do sleep 0.05; done`;
    const started = start([...fast, '--', 'bash', '-c', trap]);
    await started.printed('up');
    started.child.kill(signal);
    const { code, stdout } = await started.ended;
    assert.equal(code, expected);
    if (signal === 'SIGINT') assert.equal(stdout.split('got').length, 2);
    assert.deepEqual(servers(), []);
  }
});

test('an interruption while the stores start leaves nothing', async () => {
  for (const ms of [60, 150, 250, 350]) {
    const started = start([...fast, '--', 'true']);
    await new Promise((resolve) => setTimeout(resolve, ms));
    started.child.kill('SIGTERM');
    const { code } = await started.ended;
    assert.ok(code === 143 || code === null, `code ${code}`);
  }
  await run(['sweep']);
});

test('a run that was killed outright leaves nothing, and the next one works', async () => {
  const started = start([...fast, '--', 'sh', '-c', 'echo up $$; sleep 60']);
  const pid = Number((await started.printed(/up (\d+)/))[1]);
  started.child.kill('SIGKILL');
  await started.closed;
  assert.ok(await waitUntil(() => servers().length === 0 && leftovers().length === 0, 30_000));
  assert.equal((await run([...fast, '--', 'true'])).code, 0);
  assert.ok(
    await waitUntil(() => !isAlive(pid), 30_000),
    'the command of the dead run still lives',
  );
});

test('two runs at once do not disturb each other', async () => {
  const runs = [1, 2, 3].map(() => run([...fast, '--', 'sh', '-c', 'sleep 1; env']));
  const urls = (await Promise.all(runs)).map(({ code, stdout }) => {
    assert.equal(code, 0);
    return /RECOUP_REDIS_URL=(.*)/.exec(stdout)[1];
  });
  assert.equal(new Set(urls).size, 3);
});

test('two first runs at once make one template', async () => {
  removeTemplates();
  const runs = await Promise.all([1, 2].map(() => run([...fast, '--', 'true'])));
  for (const { code, stderr } of runs) assert.equal(code, 0, stderr);
  assert.equal(templates().length, 1);
});

test('a half-made data folder is not used, and a damaged template is made anew', async () => {
  mkdirSync(join(copy, '.recoup', 'making-999999999-00ff'), { recursive: true });
  assert.equal((await run([...fast, '--', 'true'])).code, 0);
  truncateSync(join(copy, '.recoup', templates()[0], 'ibdata1'), 5000);
  const { code, stderr } = await run([...fast, '--', 'true']);
  assert.equal(code, 0);
  assert.match(stderr, /making a new template/);
});

test('a stale folder with the pid of a stranger costs the stranger nothing', async () => {
  const stranger = spawn('sleep', ['60']);
  const folder = join(copy, '.recoup', 'run-999999998-00ff');
  mkdirSync(join(folder, 'database'), { recursive: true });
  const pids = [{ pid: stranger.pid, cmdlineIncludes: 'worker.js' }];
  writeFileSync(join(folder, 'pids.json'), JSON.stringify(pids));
  writeFileSync(join(folder, 'database.pid'), String(stranger.pid));
  writeFileSync(join(folder, 'owner.json'), JSON.stringify({ pid: 999999998, servers: pids }));
  try {
    await run([...bare, '--', 'true']);
    assert.ok(isAlive(stranger.pid));
  } finally {
    stranger.kill();
    rmSync(folder, { recursive: true, force: true });
  }
});

test('a port taken between choice and bind: another is tried', async () => {
  const stranger = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => stranger.on('listening', resolve));
  const script = `
    import { createRunFolder, removeRunFolder } from '${copy}/scripts/run-folder.mjs';
    import { startDatabase } from '${copy}/scripts/database.mjs';
    import { startRedis } from '${copy}/scripts/redis.mjs';
    import { findServers } from '${copy}/scripts/store-binaries.mjs';
    import { freePort } from '${copy}/scripts/server.mjs';
    const taken = ${stranger.address().port};
    const chooser = () => { let n = 0; return () => (n++ < 2 ? taken : freePort()); };
    const files = await findServers(['database', 'redis']);
    const folder = createRunFolder();
    const database = await startDatabase(files.database, folder, { choosePort: chooser() });
    const redis = await startRedis(files.redis, folder, { choosePort: chooser() });
    console.log(database.port !== taken && redis.port !== taken ? 'both elsewhere' : 'wrong');
    await removeRunFolder(folder);
  `;
  const { stdout, stderr } = await collect(
    spawn(process.execPath, ['--input-type=module', '-e', script]),
  ).ended;
  stranger.close();
  assert.match(stdout, /both elsewhere/, stderr);
});

test('keeps the stores for --keep, and stop stops them and what the command left', async () => {
  const command = `
    setsid sleep 361 >/dev/null 2>&1 </dev/null & echo carried $!
    env -i PATH="$PATH" setsid sleep 362 >/dev/null 2>&1 </dev/null & echo declared $!
    sleep 0.2
    echo "[{\\"pid\\": $!, \\"cmdlineIncludes\\": \\"sleep 362\\"}]" > "$RECOUP_RUN_DIR/pids.json"`;
  const { code, stdout, stderr } = await run([...fast, '--', 'sh', '-c', command, 'sh', '--keep']);
  assert.equal(code, 0);
  assert.match(stderr, /export RECOUP_DATABASE_URL=.*npm stop/s);
  const pids = [...stdout.matchAll(/(?:carried|declared) (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 2);
  assert.equal(servers().length, 2);
  assert.equal((await run([...fast, '--', 'true'])).code, 0);
  assert.equal(servers().length, 2, 'another run swept the kept stores');
  assert.ok(pids.every(isAlive));
  assert.match((await run(['stop'])).stderr, /stopped 1 kept run/);
  assert.ok(!pids.some(isAlive));
  assert.match((await run(['stop'])).stderr, /nothing was kept/);
});

test('ends what the command left behind, and says so', async () => {
  const command = 'setsid sleep 63 >/dev/null 2>&1 </dev/null & echo pid $!';
  const { code, stdout, stderr } = await run([...bare, '--', 'sh', '-c', command]);
  assert.equal(code, 0);
  assert.match(stderr, /left 1 process\(es\) running/);
  assert.ok(!isAlive(Number(/pid (\d+)/.exec(stdout)[1])));
});

test('asks first where it is told to, and starts stores only on the word of the command', async () => {
  assert.deepEqual(await answered(fast, 2), [2, 'asked \n']);
  assert.deepEqual(await answered(fast, 0), [0, 'asked \n']);
  assert.deepEqual(await answered(bare, 100), [0, 'asked \nran\n']);
});

test('refuses what it does not understand, with how it is called', async () => {
  for (const args of [
    ['--nope'],
    [],
    ['--deadline', 'x', '--', 'true'],
    ['--stores', '--', 'true'],
  ]) {
    const { code, stdout, stderr } = await run(args);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /usage: node scripts\/run\.mjs/);
  }
});

test('a deadline ends a command that hangs, with code 124', async () => {
  const begin = performance.now();
  const { code } = await run([...bare, '--deadline', '1', '--', 'sleep', '60']);
  assert.equal(code, 124);
  // It did not wait for the command's own end.
  assert.ok(performance.now() - begin < 50_000);
});

test('where the servers are missing and may not be installed, prints the line to run', async () => {
  const { code, stderr, stdout } = await run([...fast, '--', 'true'], {
    RECOUP_SERVER_PATH: '/nowhere',
  });
  assert.equal(code, 1);
  assert.equal(stdout, '');
  assert.match(stderr, /^ {2}sudo apt-get .* mariadb-server-core mariadb-common redis-server$/m);
  assert.doesNotMatch(stderr, /^ {4}at /m);
});

test('compiles, removes outputs without a source, restores outputs removed by hand', async () => {
  mkdirSync(join(copy, 'dist', 'test'), { recursive: true });
  writeFileSync(join(copy, 'dist', 'test', 'gone.test.js'), '');
  assert.equal((await run(['build'])).code, 0);
  assert.ok(!existsSync(join(copy, 'dist', 'test', 'gone.test.js')));
  rmSync(join(copy, 'dist', 'src', 'a.js'));
  assert.equal((await run(['build'])).code, 0);
  assert.ok(existsSync(join(copy, 'dist', 'src', 'a.js')));
});

test('a type error stops the run before its command', async () => {
  const wrong = join(copy, 'src', 'wrong.ts');
  writeFileSync(wrong, 'export const b: number = "x";\n');
  const strict = await run(['--no-stores', '--', 'echo', 'ran']);
  assert.equal(strict.code, 1);
  assert.match(strict.stderr, /wrong\.ts.*TS2322/s);
  assert.doesNotMatch(strict.stdout, /ran/);
  const lenient = await run(['--no-stores', '--', 'echo', 'ran'], {
    RECOUP_ALLOW_TYPE_ERRORS: '1',
  });
  assert.match(lenient.stdout, /ran/);
  rmSync(wrong);
});

const fast = ['--no-build'];
const bare = ['--no-build', '--no-stores'];

function run(args, env) {
  return start(args, env).ended;
}

/** Asked first, the command answers with this code; asked to run, it runs. */
async function answered(options, code) {
  const says = `echo "asked $RECOUP_DATABASE_URL"; exit ${code}`;
  const script = `[ -z "$RECOUP_ASKED_FIRST" ] || { ${says}; }; echo ran`;
  const ended = await run([...options, '--ask-first', '--', 'sh', '-c', script]);
  return [ended.code, ended.stdout];
}

function start(args, env = {}) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('RECOUP_'));
  const child = spawn(process.execPath, [join(copy, 'scripts', 'run.mjs'), ...args], {
    cwd: tmpdir(),
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return collect(child);
}

function collect(child) {
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const closed = new Promise((resolve) => child.on('exit', resolve));
  const ended = new Promise((resolve) => child.on('close', (code) => resolve({ code, ...output })));
  const printed = async (pattern) => {
    const found = () => output.stdout.match(pattern);
    assert.ok(await waitUntil(() => found() !== null, 60_000), `${output.stdout}${output.stderr}`);
    return found();
  };
  return { child, closed, ended, printed };
}

function servers() {
  return programsWorkingIn(join(copy, '.recoup'), serverNames);
}

function templates() {
  return readdirSync(join(copy, '.recoup')).filter((name) => name.startsWith('template-'));
}

function removeTemplates() {
  for (const name of templates()) rmSync(join(copy, '.recoup', name), { recursive: true });
}

function leftovers() {
  const folder = join(copy, '.recoup');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => !name.startsWith('template-'));
}

function writeTsconfig() {
  const config = JSON.parse(readFileSync(join(projectDir, 'tsconfig.json'), 'utf8'));
  config.compilerOptions.types = [];
  config.include = ['src', 'test'];
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify(config));
}
