from common import *
import optax
def att(p,x):
    h=(x@p['i']).reshape(-1,8,16); q,k,v=h@p['q'],h@p['k'],h@p['v']
    return (jax.nn.softmax(q@jnp.swapaxes(k,1,2)/4.)@v).reshape(x.shape[0],-1)@p['o']
for s in (1.,30.,300.):
    p=dict(i=N(16,128),q=N(16,16)*s,k=N(16,16)*s,v=N(16,16),o=N(128,1,g=.1)); g=jax.grad(lambda p:mse(att(p,x),y))(p)['q']
    g2=np.sort(np.asarray(g).ravel()**2)[::-1]; print(s,"|g| rms",float(np.sqrt(g2.mean())),"share of sum g^2 in the largest 5%",float(g2[:13].sum()/g2.sum()),"entries with |g|<1e-8:",float((np.abs(g)<1e-8).mean()))
