import org.apache.solr.embedded.JettyConfig;
import org.apache.solr.embedded.JettySolrRunner;

/** Runs one Solr on a loopback port until stdin closes, so it can not outlive the test that started it. */
public class SolrBench {
    public static void main(String[] args) throws Exception {
        JettyConfig config = new JettyConfig.Builder()
            .setContext("/solr").setPort(Integer.parseInt(args[1])).stopAtShutdown(true).build();
        JettySolrRunner runner = new JettySolrRunner(args[0], config);
        runner.start();
        System.out.println("ready");
        while (System.in.read() != -1) {
            // only the end of stdin matters
        }
        runner.stop();
        System.exit(0);
    }
}
