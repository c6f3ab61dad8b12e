from common import *
def f(p,x):
    h=jnp.tanh(x@p['e']); mu=h@p['m']; lv=h@p['v']; z=mu+jnp.exp(.5*lv)*jax.random.normal(jax.random.key(0),mu.shape); return jnp.concatenate([jnp.tanh(z@p['d'])@p['o'],mu,lv],-1)
def vl(o,y): r,mu,lv=o[:,:16],o[:,16:24],o[:,24:]; return jnp.mean(jnp.sum((r-y)**2,-1))-.5*jnp.mean(jnp.sum(1+lv-mu**2-jnp.exp(lv),-1))
p=dict(e=N(16,64),m=N(64,8),v=N(64,8,g=40.),d=N(8,64),o=N(64,16,g=.3))
g=jax.grad(lambda p:vl(f(p,x),x))(p); print({k:(float(jnp.abs(v).max()),float((v!=0).mean())) for k,v in g.items()}); print(winit.jax.audit(f,p,x,x,vl))
