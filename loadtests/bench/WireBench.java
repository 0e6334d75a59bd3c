// Load over ZooKeeper's own protocol, through Apache's client and its asynchronous API, so that
// a real ensemble and this one are driven by the very same code.
//
//   WireBench HOSTS CLIENTS OUTSTANDING OPERATIONS SEQUENTIAL
//
// Every client has its own session and OUTSTANDING requests on their way. Prints a line of JSON
// for each kind of work of the second round; the first warms up both sides. Any failed operation
// ends it with status 1.
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;

public class WireBench {
  static final byte[] VALUE = new byte[100];
  static final int TIMEOUT_MS = 30_000;
  static final AtomicInteger failed = new AtomicInteger();

  final ZooKeeper[] clients;
  final int outstanding;
  String root;

  WireBench(String hosts, int clients, int outstanding) throws Exception {
    this.outstanding = outstanding;
    this.clients = new ZooKeeper[clients];
    String[] addresses = hosts.split(",");
    for (int i = 0; i < clients; i++) {
      CountDownLatch connected = new CountDownLatch(1);
      // One address each, dealt out in turn: the same spread over the members in every run.
      this.clients[i] = new ZooKeeper(addresses[i % addresses.length], TIMEOUT_MS, event -> {
        if (event.getState() == Watcher.Event.KeeperState.SyncConnected) {
          connected.countDown();
        }
      });
      if (!connected.await(30, TimeUnit.SECONDS)) {
        throw new IllegalStateException(addresses[i % addresses.length] + " does not answer");
      }
    }
  }

  interface Work {
    void submit(ZooKeeper client, int number, int index, Semaphore room);
  }

  void done(int code, Semaphore room) {
    if (code != 0) {
      failed.incrementAndGet();
    }
    room.release();
  }

  String path(int client, int index) {
    return root + "/" + client + "-" + index;
  }

  void create(ZooKeeper client, int number, int index, Semaphore room) {
    client.create(path(number, index), VALUE, ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
        (code, path, context, name) -> done(code, room), null);
  }

  void get(ZooKeeper client, int number, int index, Semaphore room) {
    client.getData(path(number, index), false,
        (code, path, context, data, stat) -> done(code, room), null);
  }

  void set(ZooKeeper client, int number, int index, Semaphore room) {
    client.setData(path(number, index), VALUE, -1,
        (code, path, context, stat) -> done(code, room), null);
  }

  void mixed(ZooKeeper client, int number, int index, Semaphore room) {
    if (index % 10 == 0) {
      set(client, number, index, room);
    } else {
      get(client, number, index, room);
    }
  }

  double perSecond(int operations, Work work) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(clients.length);
    CountDownLatch done = new CountDownLatch(clients.length);
    long began = System.nanoTime();
    for (int c = 0; c < clients.length; c++) {
      final int number = c;
      threads.submit(() -> {
        Semaphore room = new Semaphore(outstanding);
        for (int i = 0; i < operations; i++) {
          room.acquireUninterruptibly();
          work.submit(clients[number], number, i, room);
        }
        room.acquireUninterruptibly(outstanding);
        done.countDown();
      });
    }
    done.await();
    double seconds = (System.nanoTime() - began) / 1e9;
    threads.shutdown();
    return (double) clients.length * operations / seconds;
  }

  double medianMs(int operations, Work work) {
    double[] times = new double[operations];
    Semaphore room = new Semaphore(0);
    for (int i = 0; i < operations; i++) {
      long began = System.nanoTime();
      work.submit(clients[0], clients.length, i, room);
      room.acquireUninterruptibly();
      times[i] = (System.nanoTime() - began) / 1e6;
    }
    Arrays.sort(times);
    return times[operations / 2];
  }

  static void report(String work, double figure) {
    System.out.printf(java.util.Locale.ROOT, "{\"work\": \"%s\", \"figure\": %.4f}%n", work, figure);
  }

  public static void main(String[] arguments) {
    try {
      run(arguments);
      System.exit(failed.get() == 0 ? 0 : 1);
    } catch (Exception error) {
      System.err.println(error.getMessage());
      System.exit(2);
    }
  }

  static void run(String[] arguments) throws Exception {
    int operations = Integer.parseInt(arguments[3]);
    int sequential = Integer.parseInt(arguments[4]);
    WireBench bench = new WireBench(
        arguments[0], Integer.parseInt(arguments[1]), Integer.parseInt(arguments[2]));
    for (boolean counts : new boolean[] {false, true}) {
      bench.root = "/bench-" + System.nanoTime();
      bench.clients[0].create(
          bench.root, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
      for (ZooKeeper client : bench.clients) {
        CountDownLatch synced = new CountDownLatch(1);
        client.sync(bench.root, (code, path, context) -> synced.countDown(), null);
        synced.await();
      }
      double creates = bench.perSecond(operations, bench::create);
      double gets = bench.perSecond(operations, bench::get);
      double sets = bench.perSecond(operations, bench::set);
      double mixed = bench.perSecond(operations, bench::mixed);
      double create = bench.medianMs(sequential, bench::create);
      double get = bench.medianMs(sequential, bench::get);
      if (counts) {
        report("create", creates);
        report("get", gets);
        report("set", sets);
        report("mixed", mixed);
        report("sequential create", create);
        report("sequential get", get);
      }
    }
    for (ZooKeeper client : bench.clients) {
      client.close();
    }
  }
}
