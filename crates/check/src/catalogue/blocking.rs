//! What blocks.

use super::Category::{self, Database, Deadlock, File, Input, Nested, Network, Process, Sleep, Wait};
use super::Unless::{self, EitherFalsy, Falsy, InMemory, InMemoryOrMissing, Never, Truthy};

/// Why, unless what, and the paths.
pub(super) const SINKS: &[(Category, Unless, &str)] = &[
    (
        Nested,
        Never,
        "asyncio.run asyncio.Runner().run asyncio.AbstractEventLoop().run_until_complete asyncio.AbstractEventLoop().run_forever
         uvloop.run uvloop.run anyio.run anyio.from_thread.start_blocking_portal trio.run curio.run soliloop.run aiohttp.web.run_app
         uvicorn.run uvicorn.Server().run hypercorn.run asgiref.sync.async_to_sync()() nest_asyncio.asyncio.run IPython.start_ipython
         twisted.internet.reactor.run",
    ),
    (Sleep, Never, "time.sleep gevent.sleep eventlet.sleep pause.until pause.seconds pause.milliseconds pyautogui.sleep"),
    (
        Network,
        Never,
        "requests.get requests.post requests.put requests.patch requests.delete requests.head requests.options requests.request
         requests.Session().get requests.Session().post requests.Session().put requests.Session().patch requests.Session().delete
         requests.Session().head requests.Session().options requests.Session().request requests.Session().send
         requests.api.get requests.api.post requests.api.request
         urllib.request.urlopen urllib.request.urlretrieve urllib.request.OpenerDirector().open
         urllib3.request urllib3.PoolManager().request urllib3.PoolManager().urlopen urllib3.HTTPConnectionPool().request
         urllib3.HTTPConnectionPool().urlopen
         http.client.HTTPConnection().request http.client.HTTPConnection().getresponse http.client.HTTPConnection().connect
         httpx.get httpx.post httpx.put httpx.patch httpx.delete httpx.head httpx.options httpx.request httpx.stream
         httpx.Client().get httpx.Client().post httpx.Client().put httpx.Client().patch httpx.Client().delete httpx.Client().head
         httpx.Client().options httpx.Client().request httpx.Client().send httpx.Client().stream
         ftplib.FTP ftplib.FTP()* smtplib.SMTP smtplib.SMTP()* smtplib.SMTP_SSL smtplib.SMTP_SSL()*
         poplib.POP3 poplib.POP3()* imaplib.IMAP4 imaplib.IMAP4()* imaplib.IMAP4_SSL imaplib.IMAP4_SSL()*
         telnetlib.Telnet telnetlib.Telnet()* xmlrpc.client.ServerProxy()** nntplib.NNTP nntplib.NNTP()*
         socket.create_connection socket.getaddrinfo socket.gethostbyname socket.gethostbyname_ex socket.gethostbyaddr
         socket.getnameinfo socket.getfqdn
         socket.socket().connect socket.socket().accept socket.socket().recv socket.socket().recv_into socket.socket().recvfrom
         socket.socket().recvfrom_into socket.socket().recvmsg socket.socket().sendall socket.socket().sendfile
         socket.Datagram().recv socket.Datagram().recv_into socket.Datagram().recvfrom socket.Datagram().recvfrom_into
         ssl.SSLSocket().recv ssl.SSLSocket().sendall ssl.SSLSocket().connect ssl.SSLSocket().read
         ssl.SSLSocket().write ssl.get_server_certificate
         socketserver.BaseServer().serve_forever socketserver.BaseServer().handle_request http.server.HTTPServer().serve_forever
         http.server.test wsgiref.simple_server.WSGIServer().serve_forever flask.Flask().run
         boto3.client()* boto3.resource()** boto3.Session().client()* boto3.Session().resource()** botocore.client.BaseClient()*
         pycurl.Curl().perform pycurl.Curl().perform_rb pycurl.Curl().perform_rs
         serial.Serial().read serial.Serial().readline serial.Serial().readlines serial.Serial().read_until serial.Serial().write
         paramiko.SSHClient().connect paramiko.SSHClient().exec_command paramiko.SFTPClient()* paramiko.Transport().connect
         websocket.create_connection websocket.WebSocket()* websocket.WebSocketApp().run_forever
         websockets.sync.client.connect grpc.insecure_channel()** grpc.secure_channel()** kafka.KafkaProducer().flush kafka.KafkaConsumer().poll
         kafka.KafkaConsumer()[*] pika.BlockingConnection pika.BlockingConnection()* paho.mqtt.client.Client().connect
         paho.mqtt.client.Client().loop_forever zmq.Context().socket().recv zmq.Context().socket().send
         googleapiclient.discovery.build openai.OpenAI().**.create anthropic.Anthropic().**.create stripe.Charge.create
         twilio.rest.Client()** telebot.TeleBot()* slack_sdk.WebClient()* yfinance.download yfinance.Ticker().history
         ccxt.*().fetch_* ccxt.*().create_* ccxt.*().cancel_* ccxt.*().edit_order ccxt.*().load_markets
         ccxt.*().load_time_difference ccxt.*().set_leverage ccxt.*().set_margin_mode ccxt.*().set_position_mode ccxt.*().transfer
         ccxt.*().withdraw pycoingecko.CoinGeckoAPI().get_* pycoingecko.CoinGeckoAPI().search pycoingecko.CoinGeckoAPI().ping
         binance.client.Client().get_* binance.client.Client().create_order binance.client.Client().cancel_order
         huggingface_hub.hf_hub_download huggingface_hub.snapshot_download git.Repo.clone_from docker.from_env().*.*
         docker.DockerClient().*.* google.cloud.storage.Client().get_bucket google.cloud.storage.Client().list_blobs
         google.cloud.bigquery.Client().query kubernetes.client.*Api().* web3.Web3().eth.get_* praw.Reddit().*.* tweepy.API().*
         minio.Minio().* qdrant_client.QdrantClient().* hvac.Client().*.* confluent_kafka.Producer().flush
         confluent_kafka.Consumer().poll confluent_kafka.Consumer().consume
         pandas_datareader.data.DataReader feedparser.parse dns.resolver.resolve dns.resolver.query ldap3.Connection().bind",
    ),
    (
        Process,
        Never,
        "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.getoutput subprocess.getstatusoutput
         subprocess.Popen().stdout.read subprocess.Popen().stdout.readline subprocess.Popen().stdout.readlines subprocess.Popen().stdout[*]
         subprocess.Popen().stderr.read subprocess.Popen().stderr.readline subprocess.Popen().stderr[*] os.system os.popen os.wait os.wait3 os.wait4 os.spawnl os.spawnle
         os.spawnlp os.spawnv os.spawnve os.spawnvp os.posix_spawn pty.spawn
         multiprocessing.Pool().map multiprocessing.Pool().apply multiprocessing.Pool().starmap
         multiprocessing.Pool().join multiprocessing.pool.AsyncResult().get multiprocessing.pool.AsyncResult().wait
         multiprocessing.connection.Connection().recv multiprocessing.connection.Connection().recv_bytes
         multiprocessing.connection.wait sh.* pexpect.spawn pexpect.spawn().expect pexpect.run fabric.Connection().run invoke.run",
    ),
    (Process, Falsy(0, "timeout"), "subprocess.Popen().wait multiprocessing.Process().join"),
    (Process, Falsy(1, "timeout"), "subprocess.Popen().communicate"),
    (
        Database,
        Never,
        "sqlite3.connect sqlite3.Connection().execute sqlite3.Connection().executemany sqlite3.Connection().executescript
         sqlite3.Connection().commit sqlite3.Connection().backup sqlite3.Cursor().execute sqlite3.Cursor().executemany
         sqlite3.Cursor().executescript sqlite3.Cursor().fetchone sqlite3.Cursor().fetchall sqlite3.Cursor().fetchmany
         psycopg2.connect psycopg2.connect()** psycopg.connect psycopg.Connection.connect psycopg.Connection()* psycopg.Cursor()*
         pymysql.connect pymysql.connect()** MySQLdb.connect MySQLdb.connect()** mysql.connector.connect mysql.connector.connect()**
         pymssql.connect pymssql.connect()** pyodbc.connect pyodbc.connect()** cx_Oracle.connect cx_Oracle.connect()** oracledb.connect oracledb.connect()**
         snowflake.connector.connect snowflake.connector.connect()** duckdb.connect()*
         sqlalchemy.engine.Engine().connect sqlalchemy.engine.Engine().execute sqlalchemy.engine.Engine().begin
         sqlalchemy.engine.Connection().execute sqlalchemy.engine.Connection().commit sqlalchemy.engine.Connection().scalar
         sqlalchemy.orm.Session().execute sqlalchemy.orm.Session().commit sqlalchemy.orm.Session().flush
         sqlalchemy.orm.Session().query sqlalchemy.orm.Session().scalars sqlalchemy.orm.Session().scalar sqlalchemy.orm.Session().get
         sqlalchemy.orm.Session().refresh sqlalchemy.orm.Session().rollback
         redis.Redis()* redis.Redis().pipeline().execute redis.Redis().pubsub().get_message redis.Redis().pubsub().listen()[*]
         redis.Redis().lock().acquire pymongo.MongoClient().** pymongo.MongoClient()[]**
         elasticsearch.Elasticsearch()** clickhouse_driver.Client().execute neo4j.GraphDatabase.driver().session().run
         cassandra.cluster.Cluster().connect cassandra.cluster.Session().execute
         influxdb.InfluxDBClient()* pandas.read_sql pandas.read_sql_query pandas.read_sql_table memcache.Client()* peewee.Model.select",
    ),
    (
        Wait,
        Never,
        "threading.Barrier().wait concurrent.futures.as_completed()[*]
         queue.Queue().join multiprocessing.Queue().join_thread multiprocessing.JoinableQueue().join
         signal.pause signal.sigwait signal.sigwaitinfo concurrent.futures.Executor().map()[*]
         anyio.from_thread.run anyio.from_thread.run_sync janus.SyncQueue().get janus.SyncQueue().put dask.compute",
    ),
    (Process, Truthy(1, "options"), "os.waitpid"),
    (Wait, Falsy(0, "timeout"), "threading.Thread().join select.poll().poll select.epoll().poll selectors.BaseSelector().select"),
    (Wait, Falsy(0, "wait"), "concurrent.futures.Executor().shutdown"),
    (Wait, Falsy(1, "timeout"), "concurrent.futures.wait"),
    (Wait, Falsy(3, "timeout"), "select.select"),
    (Wait, Falsy(0, "timeout"), "concurrent.futures.Future().result concurrent.futures.Future().exception
         threading.Event().wait threading.Condition().wait multiprocessing.Event().wait"),
    (Wait, Falsy(1, "timeout"), "threading.Condition().wait_for"),
    (
        Wait,
        EitherFalsy((0, "block"), (1, "timeout")),
        "queue.Queue().get multiprocessing.Queue().get multiprocessing.SimpleQueue().get queue.SimpleQueue().get",
    ),
    (Wait, EitherFalsy((0, "blocking"), (1, "timeout")), "threading.Semaphore().acquire multiprocessing.Semaphore().acquire"),
    (
        File,
        Never,
        "open io.open codecs.open tempfile.TemporaryFile tempfile.NamedTemporaryFile tempfile.mkstemp
         pathlib.Path().open pathlib.Path().read_text pathlib.Path().read_bytes pathlib.Path().write_text pathlib.Path().write_bytes
         shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move shutil.rmtree shutil.make_archive shutil.unpack_archive
         os.fsync os.walk()[*] glob.glob pathlib.Path().rglob()[*] pandas.read_hdf",
    ),
    (File, InMemory(0, "file"), "zipfile.ZipFile numpy.load numpy.save"),
    (File, InMemory(0, "filename"), "gzip.open bz2.open lzma.open joblib.load"),
    (File, InMemory(1, "filename"), "joblib.dump"),
    (File, InMemory(2, "fileobj"), "tarfile.open"),
    (File, InMemory(0, "fname"), "numpy.loadtxt numpy.savetxt"),
    (File, InMemory(0, "f"), "torch.load"),
    (File, InMemory(1, "f"), "torch.save"),
    (File, InMemory(0, "filepath_or_buffer"), "pandas.read_csv pandas.read_pickle"),
    (File, InMemory(0, "path"), "pandas.read_parquet pandas.read_feather"),
    (File, InMemory(0, "path_or_buf"), "pandas.read_json"),
    (File, InMemory(0, "io"), "pandas.read_excel"),
    (File, InMemoryOrMissing(0, "path_or_buf"), "pandas.DataFrame().to_csv"),
    (File, InMemoryOrMissing(0, "path"), "pandas.DataFrame().to_parquet"),
    (Deadlock, Falsy(0, "timeout"), "asyncio.threadsafe.Future().result asyncio.threadsafe.Future().exception"),
    (Input, Never, "input getpass.getpass sys.stdin.read sys.stdin.readline click.prompt click.confirm"),
];

/// Methods of clients and connections that wait for nothing.
pub(super) const CALM: &[&str] = &[
    "cursor",
    "close",
    "is_closed",
    "get_database",
    "get_collection",
    "with_options",
    "pipeline",
    "pubsub",
    "lock",
    "register_script",
    "get_paginator",
    "get_waiter",
    "can_paginate",
    "generate_presigned_url",
    "all",
    "filter",
    "unary_unary",
    "unary_stream",
    "stream_unary",
    "stream_stream",
];
