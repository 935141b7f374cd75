<?php

/**
 * A web chat bridge in one file: visitors' browsers write here, an agent's host polls here, and neither
 * needs to reach the other. The file owns the whole of it: the HTTP API (`?action=…`), the SQLite
 * database behind it, which it makes by itself, and a small page for visitors.
 *
 * What the API promises, its bounds and its settings are in the README beside it.
 * Needs PHP 8.1 or later with pdo_sqlite, and nothing else.
 *
 * Reading order: constants and routes, handlers, sessions, input, store, settings, output, page.
 */

declare(strict_types=1);

namespace Arcuate\Bridge;

use DateTimeImmutable;
use DateTimeZone;
use ErrorException;
use PDO;
use PDOException;
use PDOStatement;
use RuntimeException;
use stdClass;
use Throwable;

/** The bound for a text, in bytes, after HTML escaping: what is stored never grows beyond it when shown. */
const TEXT_BYTES = 10_000;

/** Room for a text at its bound with every character written as \uXXXX, and the other fields. */
const BODY_BYTES = 65_536;

const PAGE_DEFAULT = 50;
const PAGE_MAX = 100;
const MICROS = 1_000_000;

/** How long a request waits for another one's write before it gives up with 500. */
const BUSY_SECONDS = 10;

const SCHEMA_VERSION = 1;

const CONFIG_FILE = __DIR__ . '/bridge.config.php';

/** Every setting with its default. The environment (BRIDGE_DB, BRIDGE_API_KEY, …) wins over the file. */
const DEFAULTS = [
    'db' => '',
    'api_key' => '',
    'admin_key' => '',
    'session_timeout' => 1800,
    'enforce_limits' => true,
    'messages_per_hour' => 120,
];

/** What a number among the settings may be. */
const POSITIVE = ['min_range' => 1, 'max_range' => 1_000_000_000];

/** action → method → [handler, the setting that holds the key it asks for, or null]. */
const ACTIONS = [
    'messages' => ['POST' => ['post_message', null]],
    'responses' => ['GET' => ['list_responses', null], 'POST' => ['hand_over_responses', null]],
    'session_response' => ['POST' => ['touch_session', null]],
    'inbox' => ['GET' => ['take_inbox', 'api_key'], 'POST' => ['post_message', null]],
    'outbox' => ['POST' => ['post_response', 'api_key']],
    'sessions' => ['GET' => ['list_sessions', 'admin_key']],
    'session_messages' => ['GET' => ['show_session', 'admin_key']],
    'config' => ['GET' => ['show_config', 'admin_key'], 'POST' => ['refuse_config', 'admin_key']],
    'cleanup' => ['POST' => ['clean_up', 'admin_key']],
    'cleanup_logs' => ['POST' => ['clean_up_logs', 'admin_key']],
    'clear_data' => ['POST' => ['clear_data', 'admin_key']],
];

/** Anything the caller did wrong. The text is sent to them; everything else thrown here stays in the log. */
final class Problem extends RuntimeException
{
    /** @param array<string, string> $headers */
    public function __construct(public readonly int $status, string $text, public readonly array $headers = [])
    {
        parent::__construct($text);
    }
}

final class Reply
{
    /** @param array<string, string> $headers */
    public function __construct(
        public readonly int $status,
        public readonly array $headers,
        public readonly string $body,
    ) {
    }
}

// ---------------------------------------------------------------------------------------------- routes

function run(): void
{
    $outer_buffers = ob_get_level();
    ob_start(); // a stray blank line in the configuration file must not precede the answer
    guard_against_php_messages($outer_buffers);
    try {
        $reply = route();
    } catch (Problem $problem) {
        $reply = failure($problem->status, $problem->getMessage(), $problem->headers);
    } catch (Throwable $error) {
        $reply = internal_failure($error->getMessage(), $error->getFile(), $error->getLine());
    }
    send($reply, $outer_buffers);
}

/** The file may lie anywhere: as /api/v1/index.php of a site, in a folder of its own, or as the router of `php -S`. */
function route(): Reply
{
    $method = $_SERVER['REQUEST_METHOD'] ?? 'GET';
    $path = explode('?', $_SERVER['REQUEST_URI'] ?? '/', 2)[0];
    $is_api = preg_match('#/api/v1(/|/index\.php)?$#D', $path) === 1;
    $is_front = preg_match('#/(index\.php)?$#D', $path) === 1;

    if (!$is_api && !$is_front) {
        // Also the answer for the files beside this one where it is the router: none is ever served.
        throw new Problem(404, 'Not found');
    }
    if ($method === 'OPTIONS') {
        return new Reply(204, api_headers(), '');
    }
    $wants_page = $is_api ? isset($_GET['page']) : true;
    return $wants_page && !isset($_GET['action']) ? show_page($method) : call_action($method);
}

function call_action(string $method): Reply
{
    $action = parameter('action') ?? throw new Problem(400, 'action: missing');
    $methods = ACTIONS[$action]
        ?? throw new Problem(400, 'action: unknown, expected one of ' . implode(', ', array_keys(ACTIONS)));
    [$handler, $key] = $methods[$method] ?? throw not_allowed(array_keys($methods));
    if ($key !== null) {
        require_key($key);
    }
    return (__NAMESPACE__ . '\\' . $handler)();
}

/** @param list<string> $methods */
function not_allowed(array $methods): Problem
{
    return new Problem(405, 'Method not allowed, expected ' . implode(' or ', $methods), [
        'Allow' => implode(', ', [...$methods, 'OPTIONS']),
    ]);
}

function require_key(string $name): void
{
    $key = settings()[$name];
    if ($key === '') {
        $variable = 'BRIDGE_' . strtoupper($name);
        throw new Problem(401, "$name is not set: set $variable, or $name in " . basename(CONFIG_FILE));
    }
    // Under CGI, Apache hands the header on only under the second name, and only if told to (README).
    $header = $_SERVER['HTTP_AUTHORIZATION'] ?? $_SERVER['REDIRECT_HTTP_AUTHORIZATION'] ?? '';
    $given = preg_match('/^Bearer +(\S+) *$/iD', $header, $match) === 1 ? $match[1] : '';
    if (!hash_equals($key, $given)) {
        throw new Problem(401, "Invalid or missing $name", ['WWW-Authenticate' => 'Bearer']);
    }
}

// ---------------------------------------------------------------------------------- handlers: visitors

/** POST messages, and POST inbox, which is what the widget calls the same thing. */
function post_message(): Reply
{
    $body = json_body();
    $session_id = session_id($body->session_id ?? null);
    $text = text($body, 'message');
    $sent_at = time_value($body->timestamp ?? null, 'timestamp');
    check_uid($body);

    $data = write(function (PDO $db) use ($session_id, $text, $sent_at): array {
        count_send($db);
        [$uid, $is_new] = enter_session($db, $session_id);
        $now = now();
        query($db, 'insert into messages (session_id, message, sent_at, received_at) values (?, ?, ?, ?)', [
            $session_id, $text, $sent_at ?? $now, $now,
        ]);
        return [
            'message_id' => (int) $db->lastInsertId(),
            'session_id' => $session_id,
            'timestamp' => rfc3339($sent_at ?? $now),
            'uid' => $uid,
            'is_new_user' => $is_new,
        ];
    });
    return success('Message received', $data);
}

/** GET responses: reading changes nothing, so the same answers come again until `since` moves on. */
function list_responses(): Reply
{
    $session_id = session_id(parameter('session_id'));
    $since = time_value(parameter('since'), 'since') ?? PHP_INT_MIN;

    keep_alive($session_id);
    $rows = query(
        store(),
        'select id, response, created_at, message_id from responses
         where session_id = ? and created_at > ? order by created_at',
        [$session_id, $since],
    )->fetchAll();
    $responses = array_map(fn (array $row): array => [
        'id' => $row['id'],
        'response' => escape($row['response']),
        'timestamp' => rfc3339($row['created_at']),
        'message_id' => $row['message_id'],
    ], $rows);
    return success('Responses retrieved', ['session_id' => $session_id, 'responses' => $responses]);
}

/** POST responses, the widget's: each answer once, as plain text, because the widget shows it as it comes. */
function hand_over_responses(): Reply
{
    $body = json_body();
    $session_id = session_id($body->session_id ?? null);
    check_uid($body);

    keep_alive($session_id);
    $waiting = 'select id, response, created_at from responses
                where session_id = ? and handed_over = 0 order by created_at';
    // Most polls find nothing, and a poll that finds nothing must not queue for the write lock.
    $rows = query(store(), "$waiting limit 1", [$session_id])->fetchAll();
    if ($rows !== []) {
        $rows = write(function (PDO $db) use ($waiting, $session_id): array {
            $rows = query($db, $waiting, [$session_id])->fetchAll();
            query($db, 'update responses set handed_over = 1 where session_id = ? and handed_over = 0', [$session_id]);
            return $rows;
        });
    }
    return success('Responses retrieved', array_map(fn (array $row): array => [
        'id' => $row['id'],
        'response' => $row['response'],
        'timestamp' => rfc3339($row['created_at']),
    ], $rows));
}

/** POST session_response: a sign of life from an open widget. */
function touch_session(): Reply
{
    $body = json_body();
    $session_id = session_id($body->session_id ?? null);
    check_uid($body);

    $session = keep_alive($session_id);
    return success('Session updated', [
        'session_id' => $session_id,
        'uid' => $session['uid'] ?? null,
        'active' => $session !== null,
    ]);
}

// ---------------------------------------------------------------------------------- handlers: the poller

/** GET inbox: what it returns is marked as processed in the same transaction, so no message is given out twice. */
function take_inbox(): Reply
{
    [$limit, $offset] = page_parameters();
    $since = time_value(parameter('since'), 'since') ?? PHP_INT_MIN;

    $rows = [];
    $total = count_unprocessed(store(), $since);
    if ($total > 0 && $limit > 0) {
        [$total, $rows] = write(function (PDO $db) use ($limit, $offset, $since): array {
            $total = count_unprocessed($db, $since);
            $rows = query(
                $db,
                'select m.id, m.session_id, m.message, m.sent_at, s.uid
                 from messages m left join sessions s on s.id = m.session_id
                 where m.processed = 0 and m.received_at > ? order by m.id limit ? offset ?',
                [$since, $limit, $offset],
            )->fetchAll();
            $ids = array_column($rows, 'id');
            if ($ids !== []) {
                $marks = implode(', ', array_fill(0, count($ids), '?'));
                query($db, "update messages set processed = 1 where id in ($marks)", $ids);
            }
            return [$total, $rows];
        });
    }
    return success('Messages retrieved', [
        'messages' => array_map(fn (array $row): array => [
            'id' => $row['id'],
            'session_id' => $row['session_id'],
            'message' => escape($row['message']),
            'timestamp' => rfc3339($row['sent_at']),
            'uid' => $row['uid'],
        ], $rows),
        'pagination' => pagination($total, $limit, $offset),
    ]);
}

function count_unprocessed(PDO $db, int $since): int
{
    $sql = 'select count(*) from messages where processed = 0 and received_at > ?';
    return query($db, $sql, [$since])->fetchColumn();
}

/**
 * POST outbox. A poller that does not know whether an answer arrived sends it again with the same `Idempotency-Key`, and gets
 * the first one's id: a request can be on its way for so long that nobody who looks for its effect finds it yet.
 */
function post_response(): Reply
{
    $key = idempotency_key();
    $body = json_body();
    $session_id = session_id($body->session_id ?? null);
    $text = text($body, 'response');
    $message_id = message_id($body);
    // Checked, so that a mistake shows, but not used: `since` can only be compared with one clock, this one.
    time_value($body->timestamp ?? null, 'timestamp');

    $data = write(function (PDO $db) use ($session_id, $text, $message_id, $key): array {
        $first = find_response($db, $session_id, $key);
        if ($first !== null) {
            return $first;
        }
        if (find_active_session($db, $session_id) === null) {
            throw new Problem(400, 'Invalid or expired session');
        }
        $now = now();
        query($db, 'update sessions set last_active = ? where id = ?', [$now, $session_id]);
        // Strictly later than the session's last answer: whoever asks with that one's timestamp as `since`
        // misses nothing and gets nothing twice, even if the server's clock was set back.
        $last = query($db, 'select max(created_at) from responses where session_id = ?', [$session_id])->fetchColumn();
        $created_at = max($now, ($last ?? 0) + 1);
        query($db, 'insert into responses (session_id, response, message_id, created_at, idempotency_key) values (?, ?, ?, ?, ?)', [
            $session_id, $text, $message_id, $created_at, $key,
        ]);
        return [
            'response_id' => (int) $db->lastInsertId(),
            'session_id' => $session_id,
            'timestamp' => rfc3339($created_at),
        ];
    });
    return success('Response sent', $data);
}

/** The header, if the poller sends one. */
function idempotency_key(): ?string
{
    $key = $_SERVER['HTTP_IDEMPOTENCY_KEY'] ?? '';
    if (strlen($key) > 255) {
        throw new Problem(400, 'Idempotency-Key: must have at most 255 bytes');
    }
    return $key === '' ? null : $key;
}

/** What was answered to the first request with this key. */
function find_response(PDO $db, string $session_id, ?string $key): ?array
{
    $sql = 'select id, created_at from responses where idempotency_key = ? and session_id = ?';
    $row = $key === null ? false : query($db, $sql, [$key, $session_id])->fetch();
    return $row === false ? null : [
        'response_id' => $row['id'],
        'session_id' => $session_id,
        'timestamp' => rfc3339($row['created_at']),
    ];
}

// ---------------------------------------------------------------------------------- handlers: the operator

/** GET sessions: the active ones, or with `active=false` all that are not yet removed. */
function list_sessions(): Reply
{
    [$limit, $offset] = page_parameters();
    $oldest = match (parameter('active') ?? 'true') {
        'true' => expiry(),
        'false' => PHP_INT_MIN,
        default => throw new Problem(400, 'active: must be true or false'),
    };
    [$total, $rows] = read(fn (PDO $db): array => [
        query($db, 'select count(*) from sessions where last_active >= ?', [$oldest])->fetchColumn(),
        query(
            $db,
            session_columns() . ' where s.last_active >= ? order by s.last_active desc, s.id limit ? offset ?',
            [$oldest, $limit, $offset],
        )->fetchAll(),
    ]);
    return success('Sessions retrieved', [
        'sessions' => array_map(describe_session(...), $rows),
        'pagination' => pagination($total, $limit, $offset),
    ]);
}

/** GET session_messages */
function show_session(): Reply
{
    $session_id = session_id(parameter('session_id'));
    [$session, $messages, $responses] = read(fn (PDO $db): array => [
        query($db, session_columns() . ' where s.id = ?', [$session_id])->fetch(),
        query($db, 'select id, message, sent_at from messages where session_id = ? order by id', [$session_id])
            ->fetchAll(),
        query($db, 'select id, response, created_at from responses where session_id = ? order by id', [$session_id])
            ->fetchAll(),
    ]);
    if ($session === false) {
        throw new Problem(404, 'Session not found');
    }
    return success('Session messages retrieved', [
        'session' => describe_session($session),
        'messages' => array_map(fn (array $row): array => [
            'id' => $row['id'],
            'session_id' => $session_id,
            'message' => escape($row['message']),
            'timestamp' => rfc3339($row['sent_at']),
        ], $messages),
        'responses' => array_map(fn (array $row): array => [
            'id' => $row['id'],
            'session_id' => $session_id,
            'response' => escape($row['response']),
            'timestamp' => rfc3339($row['created_at']),
        ], $responses),
    ]);
}

/** GET config: never the keys. */
function show_config(): Reply
{
    return success('Configuration retrieved', ['session_timeout' => settings()['session_timeout']]);
}

/** POST config: a web request that can change the keys would be one more way to lose the site. */
function refuse_config(): Reply
{
    throw new Problem(400, 'Settings are not changed over the web: set them in the environment or in '
        . basename(CONFIG_FILE));
}

/** POST cleanup */
function clean_up(): Reply
{
    $count = write(fn (PDO $db): int => remove_expired_sessions($db));
    return success('Cleanup completed', [
        'cleaned_count' => $count,
        'message' => "Cleaned up $count inactive sessions",
    ]);
}

/** POST cleanup_logs: errors go to PHP's own log, so the hourly counters are all there is. */
function clean_up_logs(): Reply
{
    $count = write(fn (PDO $db): int => remove_old_counters($db));
    return success('Log cleanup completed', ['message' => "Removed $count counters of past hours"]);
}

/** POST clear_data */
function clear_data(): Reply
{
    if ((json_body()->confirm ?? null) !== true) {
        throw new Problem(400, 'confirm: must be true, everything is deleted');
    }
    $count = write(fn (PDO $db): array => array_map(
        fn (string $table): int => query($db, "delete from $table")->rowCount(),
        ['sessions' => 'sessions', 'messages' => 'messages', 'responses' => 'responses'],
    ));
    return success('All data cleared', [
        'message' => 'All data cleared',
        'cleared_sessions' => $count['sessions'],
        'cleared_messages' => $count['messages'],
        'cleared_responses' => $count['responses'],
    ]);
}

// -------------------------------------------------------------------------------------------- sessions

/** The session was idle too long if its last sign of life is older than this. */
function expiry(): int
{
    return now() - settings()['session_timeout'] * MICROS;
}

/** @return array<string, mixed>|null */
function find_active_session(PDO $db, string $id): ?array
{
    $sql = 'select uid, last_active from sessions where id = ? and last_active >= ?';
    return query($db, $sql, [$id, expiry()])->fetch() ?: null;
}

/**
 * The session's uid, and whether the session is new. One that idled too long starts anew, with another uid.
 *
 * @return array{string, bool}
 */
function enter_session(PDO $db, string $id): array
{
    $now = now();
    $session = find_active_session($db, $id);
    if ($session !== null) {
        query($db, 'update sessions set last_active = ? where id = ?', [$now, $id]);
        return [$session['uid'], false];
    }
    // A new session is the moment to forget old ones: the table grows only here, so it is also kept small here.
    remove_expired_sessions($db);
    $uid = bin2hex(random_bytes(8));
    $sql = 'insert or replace into sessions (id, uid, created_at, last_active, ip_address) values (?, ?, ?, ?, ?)';
    query($db, $sql, [$id, $uid, $now, $now, client_address()]);
    return [$uid, true];
}

/**
 * A visitor who polls is not idle. It is noted at most sixty times per timeout, so that polling hardly ever writes.
 *
 * @return array<string, mixed>|null the session, if it is active
 */
function keep_alive(string $id): ?array
{
    $session = find_active_session(store(), $id);
    if ($session !== null && now() - $session['last_active'] > settings()['session_timeout'] * MICROS / 60) {
        // The comparison again: between reading and writing another request may have removed or renewed it.
        $sql = 'update sessions set last_active = ? where id = ? and last_active = ?';
        query(store(), $sql, [now(), $id, $session['last_active']]);
    }
    return $session;
}

/** Their texts stay: an unprocessed message must still reach the poller, with a uid of null. */
function remove_expired_sessions(PDO $db): int
{
    return query($db, 'delete from sessions where last_active < ?', [expiry()])->rowCount();
}

function session_columns(): string
{
    return 'select s.id, s.uid, s.created_at, s.last_active, s.ip_address, s.metadata,
        (select count(*) from messages m where m.session_id = s.id) as message_count,
        (select count(*) from responses r where r.session_id = s.id) as response_count
        from sessions s';
}

/**
 * @param array<string, mixed> $row
 * @return array<string, mixed>
 */
function describe_session(array $row): array
{
    return [
        'id' => $row['id'],
        'uid' => $row['uid'],
        'created_at' => sql_time($row['created_at']),
        'last_active' => sql_time($row['last_active']),
        'ip_address' => $row['ip_address'],
        'metadata' => json_decode($row['metadata']),
        'active' => $row['last_active'] >= expiry(),
        'message_count' => $row['message_count'],
        'response_count' => $row['response_count'],
    ];
}

/** Only what the server itself saw: X-Forwarded-For is whatever the visitor writes there. */
function client_address(): string
{
    return $_SERVER['REMOTE_ADDR'] ?? '';
}

/** Runs inside the message's own transaction: counting costs no commit, and a refused message is not counted. */
function count_send(PDO $db): void
{
    $hour = intdiv(now(), 3600 * MICROS);
    $where = [client_address(), $hour];
    $sql = 'update counters set sends = sends + 1 where ip_address = ? and hour = ?';
    if (query($db, $sql, $where)->rowCount() === 0) {
        remove_old_counters($db);
        query($db, 'insert into counters (ip_address, hour, sends) values (?, ?, 1)', $where);
    }
    $sends = query($db, 'select sends from counters where ip_address = ? and hour = ?', $where)->fetchColumn();
    $most = settings()['messages_per_hour'];
    if (settings()['enforce_limits'] && $sends > $most) {
        throw new Problem(429, "Too many messages: $most an hour from one address, try again later", [
            'Retry-After' => (string) (3600 - intdiv(now(), MICROS) % 3600),
        ]);
    }
}

function remove_old_counters(PDO $db): int
{
    return query($db, 'delete from counters where hour < ?', [intdiv(now(), 3600 * MICROS)])->rowCount();
}

// ----------------------------------------------------------------------------------------------- input

function parameter(string $name): ?string
{
    $value = $_GET[$name] ?? null;
    if ($value !== null && !is_string($value)) {
        throw new Problem(400, "$name: given more than once");
    }
    return $value === '' ? null : $value;
}

function number_parameter(string $name, int $default): int
{
    $value = parameter($name);
    if ($value === null) {
        return $default;
    }
    if (preg_match('/^\d{1,9}$/D', $value) !== 1) {
        throw new Problem(400, "$name: must be a number from 0");
    }
    return (int) $value;
}

/** @return array{int, int} limit and offset */
function page_parameters(): array
{
    return [min(number_parameter('limit', PAGE_DEFAULT), PAGE_MAX), number_parameter('offset', 0)];
}

function json_body(): stdClass
{
    $raw = file_get_contents('php://input', length: BODY_BYTES + 1);
    if (strlen($raw) > BODY_BYTES) {
        throw new Problem(413, 'The body is larger than ' . BODY_BYTES . ' bytes');
    }
    $body = json_decode($raw, depth: 8, flags: JSON_BIGINT_AS_STRING);
    if (!$body instanceof stdClass) {
        throw new Problem(400, 'Invalid JSON: the body must be an object, in UTF-8');
    }
    return $body;
}

function session_id(mixed $value): string
{
    if ($value === null) {
        throw new Problem(400, 'session_id: missing');
    }
    if (!is_string($value) || preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $value) !== 1) {
        throw new Problem(400, 'session_id: must be 1 to 64 of A-Z, a-z, 0-9, _ and -');
    }
    return $value;
}

function text(stdClass $body, string $field): string
{
    $value = $body->$field ?? throw new Problem(400, "$field: missing");
    if (!is_string($value)) {
        throw new Problem(400, "$field: must be text");
    }
    // json_decode let only valid UTF-8 through, but it turns \u0000 into a NUL.
    if (str_contains($value, "\0")) {
        throw new Problem(400, "$field: must not contain NUL");
    }
    // Bridges of this kind use PHP's empty(), which takes "0" for nothing; their clients rely on no more than that.
    if (preg_match('/[^\p{Z}\p{Cc}]/u', $value) !== 1 || trim($value) === '0') {
        throw new Problem(400, "$field: must be neither blank nor \"0\"");
    }
    if (strlen(escape($value)) > TEXT_BYTES) {
        throw new Problem(400, "$field: longer than " . TEXT_BYTES . ' bytes after HTML escaping');
    }
    return $value;
}

/** The widget sends a uid that it made up itself. It is no proof of anything, so it is checked and left alone. */
function check_uid(stdClass $body): void
{
    if (!is_string($body->uid ?? '')) {
        throw new Problem(400, 'uid: must be text');
    }
}

/** Some clients keep ids as text, and 0 means none. It need not exist: ids restart when the site is reinstalled. */
function message_id(stdClass $body): ?int
{
    $value = $body->message_id ?? 0;
    if ((!is_int($value) && !is_string($value)) || preg_match('/^\d{1,18}$/D', (string) $value) !== 1) {
        throw new Problem(400, 'message_id: must be a number');
    }
    return (int) $value ?: null;
}

/** RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC) or Unix seconds, as microseconds since 1970. */
function time_value(mixed $value, string $field): ?int
{
    if ($value === null) {
        return null;
    }
    $given = is_int($value) || is_float($value) ? json_encode($value) : $value;
    if (!is_string($given)) {
        throw new Problem(400, "$field: must be a time");
    }
    if (preg_match('/^(\d{1,11})(?:\.(\d+))?$/D', $given, $part) === 1) {
        return (int) $part[1] * MICROS + micros($part[2] ?? '');
    }
    // The blank in the offset is a "+" that was not percent-encoded in a query.
    $form = '/^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+ -])(\d\d):?(\d\d))?$/D';
    if (preg_match($form, $given, $part) !== 1) {
        throw new Problem(400, "$field: must be a time: RFC 3339, YYYY-MM-DD HH:MM:SS or Unix seconds");
    }
    [, $year, $month, $day, $hour, $minute, $second] = array_map(intval(...), $part);
    [$offset_hour, $offset_minute] = [(int) ($part[9] ?? 0), (int) ($part[10] ?? 0)];
    if (
        !checkdate($month, $day, $year) || $hour > 23 || $minute > 59 || $second > 60
        || $offset_hour > 23 || $offset_minute > 59
    ) {
        throw new Problem(400, "$field: there is no such time");
    }
    $offset = ($offset_hour * 3600 + $offset_minute * 60) * (($part[8] ?? '') === '-' ? -1 : 1);
    // Not gmmktime: it takes the years up to 100 for this century's or the last one's.
    $local = (new DateTimeImmutable('now', new DateTimeZone('UTC')))
        ->setDate($year, $month, $day)->setTime($hour, $minute, $second);
    return ($local->getTimestamp() - $offset) * MICROS + micros($part[7] ?? '');
}

function micros(string $fraction): int
{
    return (int) substr(str_pad($fraction, 6, '0'), 0, 6);
}

// ----------------------------------------------------------------------------------------------- store

/** Holds the write lock from its first statement on, so what the work reads stays true until it commits. */
function write(callable $work): mixed
{
    return transaction('begin immediate', $work);
}

/** One snapshot for several statements. */
function read(callable $work): mixed
{
    return transaction('begin deferred', $work);
}

function transaction(string $begin, callable $work): mixed
{
    $db = store();
    $db->exec($begin);
    try {
        $result = $work($db);
        $db->exec('commit');
        return $result;
    } catch (Throwable $error) {
        try {
            $db->exec('rollback');
        } catch (PDOException) {
            // SQLite has rolled back by itself, as it does when the disk is full: the first error is the one to tell.
        }
        throw $error;
    }
}

/** @param list<int|string|null> $values */
function query(PDO $db, string $sql, array $values = []): PDOStatement
{
    $statement = $db->prepare($sql);
    foreach ($values as $index => $value) {
        // Bound by their types: as text, a number would compare unequal to the stored one.
        $type = match (true) {
            $value === null => PDO::PARAM_NULL,
            is_int($value) => PDO::PARAM_INT,
            default => PDO::PARAM_STR,
        };
        $statement->bindValue($index + 1, $value, $type);
    }
    $statement->execute();
    return $statement;
}

function store(): PDO
{
    static $db = null;
    return $db ??= open_store();
}

function open_store(): PDO
{
    $path = database_path();
    $db = connect($path);
    if (schema_version($db) === 0) {
        locked(function () use ($db): void {
            if (schema_version($db) === 0) {
                install($db);
            }
        });
    }
    if (schema_version($db) !== SCHEMA_VERSION) {
        throw new RuntimeException("$path was made by another version of this file");
    }
    return $db;
}

function connect(string $path): PDO
{
    $mask = umask(0077); // visitors' texts: for this account alone
    try {
        $db = new PDO("sqlite:$path", options: [
            PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
            PDO::ATTR_STRINGIFY_FETCHES => false,
            PDO::ATTR_TIMEOUT => BUSY_SECONDS,
        ]);
        $db->exec('pragma synchronous = full'); // an answer promises that the power may fail now
        $db->query('pragma user_version')->fetchColumn(); // the file is made by the first access, not by opening
        return $db;
    } finally {
        umask($mask);
    }
}

function schema_version(PDO $db): int
{
    return (int) $db->query('pragma user_version')->fetchColumn();
}

/** Times are microseconds since 1970, texts are as they were written: escaping is the business of the answer. */
function install(PDO $db): void
{
    $db->exec('pragma journal_mode = wal'); // readers and the one writer do not wait for each other
    $db->exec('begin immediate');
    $db->exec("
        create table sessions (
            id text primary key,
            uid text not null unique,
            created_at integer not null,
            last_active integer not null,
            ip_address text not null,
            metadata text not null default '[]'
        )");
    $db->exec('create index sessions_last_active on sessions (last_active)');
    $db->exec('
        create table messages (
            id integer primary key autoincrement,
            session_id text not null,
            message text not null,
            sent_at integer not null,
            received_at integer not null,
            processed integer not null default 0
        )');
    $db->exec('create index messages_session on messages (session_id)');
    $db->exec('create index messages_unprocessed on messages (id, received_at) where processed = 0');
    $db->exec('
        create table responses (
            id integer primary key autoincrement,
            session_id text not null,
            response text not null,
            message_id integer,
            created_at integer not null,
            handed_over integer not null default 0,
            idempotency_key text
        )');
    $db->exec('create unique index responses_key on responses (idempotency_key, session_id)
        where idempotency_key is not null');
    $db->exec('create index responses_session on responses (session_id, created_at)');
    $db->exec('create index responses_waiting on responses (session_id, created_at) where handed_over = 0');
    $db->exec('
        create table counters (
            ip_address text not null,
            hour integer not null,
            sends integer not null,
            primary key (ip_address, hour)
        )');
    $db->exec('pragma user_version = ' . SCHEMA_VERSION);
    $db->exec('commit');
}

function database_path(): string
{
    $path = settings()['db'];
    if ($path === '') {
        $folder = find_data_folder() ?? locked(fn (): string => find_data_folder() ?? make_data_folder());
        return "$folder/bridge.db";
    }
    $path = preg_match('#^(/|[A-Za-z]:[\\\\/])#', $path) === 1 ? $path : __DIR__ . "/$path";
    if (!is_dir(dirname($path)) && !@mkdir(dirname($path), 0700, true) && !is_dir(dirname($path))) {
        throw new RuntimeException('cannot make the folder ' . dirname($path));
    }
    return $path;
}

function find_data_folder(): ?string
{
    foreach (scandir(__DIR__) as $name) {
        if (preg_match('/^data-[0-9a-f]{32}$/D', $name) === 1) {
            return __DIR__ . "/$name";
        }
    }
    return null;
}

/**
 * Where nothing else is configured, the database has to lie inside the site. A name that cannot be guessed keeps
 * it from being downloaded under every web server, and .htaccess says no once more under Apache.
 */
function make_data_folder(): string
{
    $folder = __DIR__ . '/data-' . bin2hex(random_bytes(16));
    mkdir($folder, 0700);
    file_put_contents("$folder/.htaccess", "Require all denied\n");
    return $folder;
}

/** Only one process at a time sets the site up. This file is the one thing that surely exists to lock on. */
function locked(callable $work): mixed
{
    $handle = fopen(__FILE__, 'r');
    flock($handle, LOCK_EX);
    try {
        return $work();
    } finally {
        fclose($handle);
    }
}

// -------------------------------------------------------------------------------------------- settings

/**
 * @return array{db: string, api_key: string, admin_key: string, session_timeout: int, enforce_limits: bool,
 *     messages_per_hour: int}
 */
function settings(): array
{
    static $settings = null;
    return $settings ??= load_settings();
}

/**
 * The file is PHP that returns an array, and no .ini: a server that does not know better would
 * show an .ini, keys and all, to whoever asks for it.
 */
function load_settings(): array
{
    $file = is_file(CONFIG_FILE) ? require CONFIG_FILE : [];
    if (!is_array($file)) {
        throw new RuntimeException(CONFIG_FILE . ' must return an array');
    }
    $unknown = array_diff_key($file, DEFAULTS);
    if ($unknown !== []) {
        throw new RuntimeException(CONFIG_FILE . ': unknown ' . implode(', ', array_keys($unknown)));
    }
    $settings = [];
    foreach (DEFAULTS as $name => $default) {
        $environment = getenv('BRIDGE_' . strtoupper($name));
        $value = $environment === false ? $file[$name] ?? $default : $environment;
        $settings[$name] = match (gettype($default)) {
            'integer' => filter_var($value, FILTER_VALIDATE_INT, ['options' => POSITIVE]),
            'boolean' => filter_var($value, FILTER_VALIDATE_BOOLEAN, FILTER_NULL_ON_FAILURE),
            default => $value,
        };
        if (gettype($settings[$name]) !== gettype($default)) {
            throw new RuntimeException("setting $name: wrong value, expected " . gettype($default));
        }
    }
    return $settings;
}

// ---------------------------------------------------------------------------------------------- output

function now(): int
{
    return (int) (microtime(true) * MICROS);
}

/** UTC with microseconds and `Z`, which, other than `+00:00`, can stand in a query as it is. */
function rfc3339(int $micros): string
{
    $fraction = ($micros % MICROS + MICROS) % MICROS;
    return gmdate('Y-m-d\TH:i:s', intdiv($micros - $fraction, MICROS)) . sprintf('.%06dZ', $fraction);
}

/** Sessions have their times in this form (UTC), as clients of this API expect it. */
function sql_time(int $micros): string
{
    return gmdate('Y-m-d H:i:s', intdiv($micros, MICROS));
}

function escape(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_HTML401, 'UTF-8');
}

/** @return array{total: int, limit: int, offset: int, has_more: bool} */
function pagination(int $total, int $limit, int $offset): array
{
    return ['total' => $total, 'limit' => $limit, 'offset' => $offset, 'has_more' => $offset + $limit < $total];
}

function success(string $message, array $data): Reply
{
    return json_reply(200, ['success' => true, 'message' => $message, 'timestamp' => rfc3339(now()), 'data' => $data]);
}

/** @param array<string, string> $headers */
function failure(int $status, string $error, array $headers = []): Reply
{
    $envelope = ['success' => false, 'error' => $error, 'code' => $status, 'timestamp' => rfc3339(now())];
    return json_reply($status, $envelope, $headers);
}

/** What went wrong inside is for the log; the caller gets the number to look for there. */
function internal_failure(string $text, string $file, int $line): Reply
{
    $reference = bin2hex(random_bytes(4));
    error_log("bridge error $reference: $text in $file:$line");
    return failure(500, "Internal server error, reference $reference");
}

/** @param array<string, string> $headers */
function json_reply(int $status, array $envelope, array $headers = []): Reply
{
    $body = json_encode($envelope, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR);
    return new Reply($status, $headers + ['Content-Type' => 'application/json; charset=utf-8'] + api_headers(), $body);
}

/** @return array<string, string> */
function api_headers(): array
{
    return [
        'Access-Control-Allow-Origin' => '*', // no cookies are used, so any site may embed a chat of this bridge
        'Access-Control-Allow-Methods' => 'GET, POST, OPTIONS',
        'Access-Control-Allow-Headers' => 'Content-Type, Authorization, Idempotency-Key',
        'Access-Control-Expose-Headers' => 'Retry-After',
        'Access-Control-Max-Age' => '86400',
    ];
}

function send(Reply $reply, int $outer_buffers): void
{
    while (ob_get_level() > $outer_buffers) {
        ob_end_clean();
    }
    http_response_code($reply->status);
    header_remove('X-Powered-By');
    foreach ($reply->headers as $name => $value) {
        header("$name: $value");
    }
    header('Cache-Control: no-store');
    header('X-Content-Type-Options: nosniff');
    if ($reply->status !== 204) {
        header('Content-Length: ' . strlen($reply->body)); // so that a client notices an answer cut off on the way
    }
    echo $reply->body;
}

/** A notice or warning from PHP becomes an exception, and a fatal error becomes the same 500 as everything else. */
function guard_against_php_messages(int $outer_buffers): void
{
    error_reporting(E_ALL & ~E_DEPRECATED & ~E_USER_DEPRECATED); // a newer PHP must not break a working site
    ini_set('display_errors', '0');
    ini_set('log_errors', '1');
    ini_set('zlib.output_compression', '0'); // it would make Content-Length wrong
    set_error_handler(function (int $level, string $text, string $file, int $line): bool {
        if ((error_reporting() & $level) !== 0) {
            throw new ErrorException($text, 0, $level, $file, $line);
        }
        return true;
    });
    register_shutdown_function(function () use ($outer_buffers): void {
        $error = error_get_last();
        if ($error !== null && ($error['type'] & (E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR)) !== 0) {
            send(failure(500, 'Internal server error'), $outer_buffers); // PHP itself has logged it
        }
    });
}

// ------------------------------------------------------------------------------------------------ page

function show_page(string $method): Reply
{
    if ($method !== 'GET' && $method !== 'HEAD') {
        throw not_allowed(['GET']);
    }
    $nonce = bin2hex(random_bytes(16));
    return new Reply(200, [
        'Content-Type' => 'text/html; charset=utf-8',
        'Content-Security-Policy' => "default-src 'none'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            . "script-src 'nonce-$nonce'; style-src 'nonce-$nonce'",
    ], str_replace('{nonce}', $nonce, page()));
}

/** Talks to the address that it came from, so it works wherever this file lies. */
function page(): string
{
    return <<<'HTML'
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat</title>
<style nonce="{nonce}">
  :root { color-scheme: light dark; --mine: #2b5fd9; --theirs: #8883; }
  * { box-sizing: border-box; }
  body { margin: 0 auto; max-width: 44rem; height: 100dvh; display: flex; flex-direction: column;
         font: 1rem/1.45 system-ui, sans-serif; }
  #log { flex: 1; overflow-y: auto; padding: 1rem; display: flex; flex-direction: column; gap: .5rem; }
  #log p { margin: 0; padding: .5rem .8rem; border-radius: 1rem; max-width: 85%;
           white-space: pre-wrap; overflow-wrap: anywhere; }
  .you { align-self: flex-end; background: var(--mine); color: #fff; }
  .agent { align-self: flex-start; background: var(--theirs); }
  #note { min-height: 1.5rem; margin: 0; padding: 0 1rem; font-size: .85rem; opacity: .75; }
  form { display: flex; gap: .5rem; padding: .5rem 1rem 1rem; }
  textarea { flex: 1; resize: none; padding: .6rem; font: inherit; border-radius: .6rem; border: 1px solid #8888; }
  button { padding: 0 1.2rem; font: inherit; border: 0; border-radius: .6rem; background: var(--mine); color: #fff; }
  button:disabled { opacity: .5; }
</style>
<main id="log" role="log" aria-label="Conversation"></main>
<p id="note" role="status"></p>
<form id="form">
  <textarea id="text" rows="2" maxlength="10000" aria-label="Your message" placeholder="Write a message…"
    autofocus></textarea>
  <button>Send</button>
</form>
<script nonce="{nonce}">
'use strict';
const POLL_MS = 2000, LINES_KEPT = 200, KEY = 'bridge-chat:' + location.pathname;
const element = (id) => document.getElementById(id);
const [log, note, form, text] = ['log', 'note', 'form', 'text'].map(element);
const button = form.querySelector('button');

// The conversation survives a reload; without storage (private windows) it lives as long as the page.
const chat = load() ?? { session: newSession(), since: '', lines: [] };
function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return 'session_' + Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
function load() { try { return JSON.parse(localStorage.getItem(KEY)); } catch { return null; } }
function save() { try { localStorage.setItem(KEY, JSON.stringify(chat)); } catch { /* see above */ } }

async function call(action, query, init) {
  const address = location.pathname + '?' + new URLSearchParams({ action, ...query });
  const reply = await (await fetch(address, init)).json();
  if (!reply.success) throw new Error(reply.error);
  return reply.data;
}

function show({ who, text }) {
  const line = document.createElement('p');
  line.className = who;
  line.textContent = text;
  log.append(line);
  log.scrollTop = log.scrollHeight;
}
function say(who, text) {
  chat.lines = [...chat.lines, { who, text }].slice(-LINES_KEPT);
  show({ who, text });
  save();
}

// Answers come HTML-escaped once.
const PLAIN = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#039;': "'", '&amp;': '&' };
const decode = (text) => text.replace(/&(?:lt|gt|quot|#039|amp);/g, (entity) => PLAIN[entity]);

async function poll() {
  try {
    const query = { session_id: chat.session, ...(chat.since && { since: chat.since }) };
    for (const answer of (await call('responses', query)).responses) {
      chat.since = answer.timestamp;
      say('agent', decode(answer.response));
      note.textContent = '';
    }
    if (note.dataset.offline) { note.textContent = ''; delete note.dataset.offline; }
  } catch {
    note.textContent = 'No connection, trying again…';
    note.dataset.offline = 'yes';
  }
  setTimeout(poll, document.hidden ? 5 * POLL_MS : POLL_MS);
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const message = text.value.trim();
  if (!message || button.disabled) return;
  button.disabled = true;
  try {
    await call('messages', {}, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ session_id: chat.session, message }),
    });
    text.value = '';
    say('you', message);
    note.textContent = 'Sent.';
  } catch (error) {
    note.textContent = 'Not sent: ' + error.message;
  }
  button.disabled = false;
  text.focus();
});
text.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

chat.lines.forEach(show);
poll();
</script>
</html>
HTML;
}

run();
