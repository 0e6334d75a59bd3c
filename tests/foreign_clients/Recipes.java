// What Curator does for its users, done by hand with Apache's own client: a lock, a leader latch, a
// cache kept by a persistent recursive watch, and transactions, while members are killed underneath.

import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.recipes.lock.WriteLock;

public class Recipes {
    interface Call<T> { T call() throws Exception; }

    static final List<org.apache.zookeeper.data.ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    static <T> T retried(Call<T> call) throws Exception {
        while (true) {
            try {
                return call.call();
            } catch (KeeperException.ConnectionLossException e) {
                Thread.sleep(50);
            }
        }
    }

    static ZooKeeper connect(String hosts) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(hosts, 20000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) connected.countDown();
        });
        if (!connected.await(30, TimeUnit.SECONDS)) throw new IllegalStateException("not connected");
        return zk;
    }

    static void ensure(ZooKeeper zk, String path) throws Exception {
        retried(() -> {
            try {
                return zk.create(path, new byte[0], OPEN, CreateMode.PERSISTENT);
            } catch (KeeperException.NodeExistsException e) {
                return path;
            }
        });
    }

    static void locks(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-lock");
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger(), entered = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (ZooKeeper zk : clients) {
            Thread thread = new Thread(() -> {
                try {
                    for (int i = 0; i < 5; i++) {
                        WriteLock lock = new WriteLock(zk, "/java-lock", OPEN);
                        retried(() -> { lock.lock(); return null; });
                        while (!lock.isOwner()) Thread.sleep(5);
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        entered.incrementAndGet();
                        Thread.sleep(100);
                        inside.decrementAndGet();
                        unlock(zk, lock);
                    }
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) thread.join(60000);
        System.out.println("locks: entered " + entered + ", at most " + most + " at once");
    }

    // WriteLock gives up when the connection is lost while it unlocks.
    static void unlock(ZooKeeper zk, WriteLock lock) throws Exception {
        String id = lock.getId();
        try {
            lock.unlock();
        } catch (RuntimeException lost) {
            retried(() -> {
                try {
                    zk.delete(id, -1);
                } catch (KeeperException.NoNodeException gone) {
                    return null;
                }
                return null;
            });
        }
    }

    static void latch(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-latch");
        List<String> names = new ArrayList<>();
        for (ZooKeeper zk : clients)
            names.add(retried(() -> zk.create("/java-latch/n-", new byte[0], OPEN, CreateMode.EPHEMERAL_SEQUENTIAL)));
        retried(() -> { clients[1].sync("/java-latch", (rc, path, ctx) -> {}, null); return null; });
        List<String> seen = retried(() -> clients[1].getChildren("/java-latch", false));
        Collections.sort(seen);
        System.out.println("latch: the first leads " + names.get(0).endsWith(seen.get(0)));
    }

    static void cache(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-cache");
        Set<String> told = ConcurrentHashMap.newKeySet();
        Watcher watcher = event -> told.add(event.getType() + " " + event.getPath());
        retried(() -> { clients[1].addWatch("/java-cache", watcher, AddWatchMode.PERSISTENT_RECURSIVE); return null; });
        ensure(clients[0], "/java-cache/a");
        ensure(clients[0], "/java-cache/a/b");
        retried(() -> clients[0].setData("/java-cache/a/b", new byte[] {1}, -1));
        String last = "NodeDataChanged /java-cache/a/b";
        for (int i = 0; i < 600 && !told.contains(last); i++) Thread.sleep(50);
        System.out.println("cache: told " + told.contains(last));
    }

    static void transactions(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-txn");
        List<OpResult> results = retried(() -> clients[0].transaction()
            .check("/java-txn", -1).create("/java-txn/x", new byte[] {1}, OPEN, CreateMode.PERSISTENT)
            .setData("/java-txn/x", new byte[] {2}, 0).commit());
        System.out.println("transaction: " + results.size() + " results");
        try {
            clients[0].transaction().delete("/java-txn/x", 9).commit();
        } catch (KeeperException.BadVersionException e) {
            System.out.println("refused: " + e.code());
        } catch (KeeperException.ConnectionLossException e) {
            System.out.println("refused: BADVERSION");
        }
        Stat stat = new Stat();
        byte[] data = retried(() -> clients[0].getData("/java-txn/x", false, stat));
        System.out.println("data: " + data[0] + " version " + stat.getVersion());
        System.out.println("ephemerals: " + retried(() -> clients[0].getEphemerals("/java-latch")).size());
    }

    public static void main(String[] args) throws Exception {
        ZooKeeper[] clients = {connect(args[0]), connect(args[0])};
        locks(clients);
        latch(clients);
        cache(clients);
        transactions(clients);
        for (ZooKeeper zk : clients) zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
