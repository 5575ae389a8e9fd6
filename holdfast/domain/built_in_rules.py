"""Owns the built-in rules: what an error is when neither policy file nor reporter has said it.

The first that fits decides, so the narrower subject stands before the wider one. The types are
those of Python itself and of the clients in common use. A message is the weaker witness: its words
come after the types of the same subject.
"""

from holdfast.domain.rule import Match, Rule
from holdfast.domain.status_codes import StatusCodes


def _rule(
    name: str,
    category: str,
    *,
    types: str = "",
    message: str | None = None,
    status: str = "",
) -> Rule:
    codes = StatusCodes(codes=tuple(status.split()))
    match = Match(error_type=tuple(types.split()), message=message, status=codes)
    return Rule(name=name, category=category, match=match)


BUILT_IN_RULES: tuple[Rule, ...] = (
    _rule("RTMP types", "rtmp_connection", types="*Rtmp* *RTMP*"),
    _rule(
        "RTMP words",
        "rtmp_connection",
        message=r"(?s)\A(?=.*\brtmp[est]*\b).*(connect|refus|handshake|reset|closed|broken pipe"
        r"|timed? ?out|unreachable|publish|i/o error|input/output error|end of file)",
    ),
    _rule(
        "dependency types",
        "dependency",
        types="ImportError *DependencyError *CircuitBreakerError *CircuitOpen* redis.* "
        "kafka.* aiokafka.* confluent_kafka.* pika.* aio_pika.* amqp.* kombu.* "
        "celery.* nats.* elasticsearch.* opensearchpy.* pymemcache.* "
        "BrokenProcessPool *BrokerError *BrokerConnectionError",
    ),
    # Streams of HTTP/2 and of sockets, which are no streams of channels.
    _rule(
        "connection streams",
        "network",
        types="h2.* httpx.Stream* *.StreamClosedError *StreamReset* *StreamTerminated*",
    ),
    _rule("stream types", "stream_failure", types="*Stream* NoFrames *Encoder*"),
    _rule(
        "stream words",
        "stream_failure",
        message=r"(?<!http/2 )(?<!event )(?<!log )\bstream(s|ing)?\b|\b(encoders?|ffmpeg|gstreamer"
        r"|transcod\w+|bitrate|(no|dropped|black) frames?|keyframes?|hls|playlist)\b",
    ),
    _rule(
        "resource types",
        "resource_exhaustion",
        types="MemoryError *OutOfMemory* *PoolExhausted* *DiskFull* *QuotaExceeded*",
    ),
    _rule(
        "resource words",
        "resource_exhaustion",
        message=r"out of memory|cannot allocate memory|oom[- ]?kill|no space left"
        r"|too many open files|quota exceeded|disk (is )?full|can't start new thread"
        r"|resource temporarily unavailable|too many connections|connection slots",
    ),
    _rule(
        "database types",
        "database",
        types="sqlalchemy.* asyncpg.* psycopg* sqlite3.* pymysql.* MySQLdb.* mysql.* "
        "aiomysql.* oracledb.* pyodbc.* pymongo.* cassandra.* django.db.* peewee.* "
        "tortoise.* *DatabaseError *OperationalError *IntegrityError *Deadlock*",
    ),
    _rule(
        "database words",
        "database",
        message=r"\b(database|deadlock detected|postgres\w*|mysql|mariadb|sqlite|mongodb?|sql)\b",
    ),
    _rule(
        "dependency words",
        "dependency",
        message=r"\b(dependency|upstream|broker|redis|kafka|rabbitmq|memcached|elasticsearch)\b"
        r".*\b(down|failed|lost|refused|unavailable|unhealthy|unreachable)\b",
    ),
    _rule(
        "certificate",
        "configuration",
        types="*CertVerificationError *CertificateError",
    ),
    _rule(
        "certificate words",
        "configuration",
        message=r"certificate (has expired|verify failed|is not yet valid)|self[- ]signed",
    ),
    _rule(
        "timeout types",
        "timeout",
        types="*Timeout *TimeoutError *TimeoutException *TimeoutExpired *TimedOut* "
        "*DeadlineExceeded*",
    ),
    _rule("timeout statuses", "timeout", status="408 504"),
    _rule("timeout words", "timeout", message=r"timed?[ -]?out|deadline[ _]exceeded"),
    _rule(
        "authentication types",
        "authentication",
        types="*AuthenticationError *AuthError *Unauthenticated* *Unauthorized* "
        "*InvalidToken* *ExpiredSignature* *TokenExpired* *Credentials*",
    ),
    _rule("authentication statuses", "authentication", status="401"),
    _rule(
        "authentication words",
        "authentication",
        message=r"unauthori[sz]ed|unauthenticated|authentication (failed|required)|token (has )?"
        r"expired|(invalid|bad|wrong|expired) (credentials?|token|api key|password|signature)",
    ),
    _rule(
        "authorization types",
        "authorization",
        types="PermissionError *Forbidden* *PermissionDenied* *AccessDenied*",
    ),
    _rule("authorization statuses", "authorization", status="403"),
    _rule(
        "authorization words",
        "authorization",
        message=r"\b(forbidden|permission[ _]denied|access ?denied|not authori[sz]ed)\b",
    ),
    _rule(
        "storage types",
        "storage",
        types="FileNotFoundError FileExistsError IsADirectoryError NotADirectoryError "
        "*StorageError *S3* *NoSuchBucket* *NoSuchKey* *BlobNotFound*",
    ),
    _rule(
        "storage words",
        "storage",
        message=r"read-only file ?system|stale (nfs )?file handle|no such file or directory"
        r"|input/output error|NoSuch(Bucket|Key)|\b(bucket|object store|s3)\b",
    ),
    _rule(
        "configuration types",
        "configuration",
        types="*ConfigurationError *ConfigError *ImproperlyConfigured *SettingsError "
        "configparser.* yaml.* *TOMLDecodeError",
    ),
    _rule(
        "configuration words",
        "configuration",
        message=r"\b(misconfigur\w+|(missing|unknown|invalid|unset) (setting|option"
        r"|environment variable|configuration)|environment variable .* (not|un)[ ]?set)\b",
    ),
    # What somebody else sent broken is that service's error, not a wrong input of ours.
    _rule("broken answers", "external_service", types="*JSONDecodeError *ContentTypeError"),
    _rule(
        "external types",
        "external_service",
        types="*RateLimit* *TooManyRequests* *ServiceUnavailable* *BadGateway* botocore.* "
        "stripe.* twilio.* slack_sdk.* google.api_core.* openai.*",
    ),
    _rule("external statuses", "external_service", status="429 502 503"),
    _rule(
        "external words",
        "external_service",
        message=r"\b(http|status)( code)?:? ?(429|502|503)\b|\b(502|503) server error"
        r"|too many requests|rate limit|bad gateway|service( is)?( temporarily)? unavailable"
        r"|StatusCode\.UNAVAILABLE",
    ),
    _rule(
        "network types",
        "network",
        types="*ConnectionError *ConnectError *ConnectorError *NetworkError "
        "*ConnectionClosed* *Disconnected* *ReadError *WriteError *ProtocolError "
        "gaierror herror SSLError IncompleteReadError *MaxRetryError",
    ),
    _rule(
        "network words",
        "network",
        message=r"connection (was )?(refused|reset|aborted|closed|lost)|broken pipe"
        r"|no route to host|network is (unreachable|down)|name resolution|getaddrinfo"
        r"|name or service not known|\b(ssl|tls|dns)\b",
    ),
    _rule("validation statuses", "validation", status="400 422"),
    # ValueError and TypeError are not among them: they are mostly mistakes of the program, which
    # somebody should see.
    _rule(
        "validation types",
        "validation",
        types="*ValidationError *InvalidInput *InvalidArgument* *BadRequest*",
    ),
    _rule("API statuses", "api", status="4xx 5xx"),
    _rule("API types", "api", types="*HTTPError *HTTPStatusError *ApiError *APIError"),
    _rule(
        "API words", "api", message=r"\b(internal server error|[45]\d\d (client|server) error)\b"
    ),
)
